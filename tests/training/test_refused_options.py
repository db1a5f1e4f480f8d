"""A device that is none, and a checkpoint of another version, are refused in a sentence."""

import pytest
import torch
from torch import nn

from overproof.errors import InputError
from overproof.storage import checked
from overproof.training import checkpoint
from overproof.training.checkpoint import CHECKPOINT_FORMAT
from overproof.training.epoch_counts import no_counts
from overproof.training.options import TrainOptions


@pytest.mark.parametrize("device", ["gpu", "cuda:first", "meta", "", "meta:0"])
def test_what_is_no_device_is_refused(device):
    with pytest.raises(InputError, match="it must be 'auto', 'cpu', 'cuda' or another device that PyTorch supports"):
        TrainOptions(device=device)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda:1"])
def test_devices_of_torch_are_taken(device):
    assert TrainOptions(device=device).device == device


def test_a_checkpoint_of_another_format_is_refused_whatever_else_fits(tmp_path, monkeypatch):
    path, student = tmp_path / "checkpoint.pt", nn.Linear(2, 2)
    state = checkpoint.TrainingState(
        step=3, memories={}, average=dict(student.state_dict()), counts=no_counts(torch.device("cpu")),
        passes=torch.ones(1, 2, dtype=torch.float64), num_passes=1,
    )  # fmt: skip
    checkpoint.save(path, "same", student, [], state)
    checkpoint.load(path, "same", student, [], state)
    monkeypatch.setattr(checkpoint, "CHECKPOINT_FORMAT", CHECKPOINT_FORMAT + 1)
    with pytest.raises(InputError, match=rf"\(format {CHECKPOINT_FORMAT}; this version resumes format "):
        checkpoint.load(path, "same", student, [], state)
    whole = path.read_bytes()
    for part in (whole[: len(whole) // 2], whole[:-1], b""):
        path.write_bytes(part)
        with pytest.raises(InputError, match=r"checkpoint\.pt is damaged .*delete it to train this student from the b"):
            checkpoint.load(path, "same", student, [], state)
    with pytest.raises(checked.Damaged):
        checked.read_bytes(path)
