"""The same numbers whatever the order of the tests, the machine or the day."""

import os

# Before torch and the tokenizers are imported: they read these once.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import inspect
from typing import Any

import jaxtyping
import pytest
import torch
from hypothesis import settings

_checked = jaxtyping.jaxtyped


def _checked_once(of: Any = None, *, typechecker: Any = None) -> Any:
    """Check what a module or a class defines; a function within a function would be compiled anew in every call."""
    if of is None:
        return lambda each: _checked_once(each, typechecker=typechecker)
    inner = "<locals>" in getattr(of, "__qualname__", "")
    # A registered part checks its own options, as those of a user: a whole number may stand for a float.
    checks_itself = inspect.isclass(of) and hasattr(of.__init__, "__wrapped__")
    return of if inner or checks_itself else _checked(of, typechecker=typechecker)


# The import hook of `--jaxtyping-packages` finds the decorator by this name, as every module is imported.
jaxtyping.jaxtyped = _checked_once

# Found examples are the same in every run, and a slow machine is no failure.
settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def _seed():
    """Tests seed what they draw; what torch draws by itself (a layer's first weights) is seeded here."""
    torch.manual_seed(0)
