"""The same numbers whatever the order of the tests, the machine or the day."""

import os

# Before torch and the tokenizers are imported: they read these once.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import torch
from hypothesis import settings

# Found examples are the same in every run, and a slow machine is no failure.
settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def _seed():
    """Tests seed what they draw; what torch draws by itself (a layer's first weights) is seeded here."""
    torch.manual_seed(0)
