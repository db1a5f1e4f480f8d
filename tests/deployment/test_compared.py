"""What an exported graph is compared on, and by how much it may differ from the student."""

import numpy as np
import pyarrow as pa
import pytest
import torch

import overproof
from overproof.data import from_arrays
from overproof.deployment import folder
from overproof.errors import InputError
from overproof.models import build
from overproof.models.date_column import DateColumn
from overproof.models.tables import CategoryColumn, NumberColumn


def test_the_largest_difference_that_is_allowed_is_allowed(tmp_path, monkeypatch):
    student = build("linear", [from_arrays(np.eye(3, dtype=np.float32))], class_names=("no", "yes"), seed=0)
    wanted = student.probs(folder._made_up(student))
    logits = torch.log(wanted.double())
    logits[0, 0] += 1e-3
    furthest = (logits.softmax(dim=1) - wanted).abs().max().item()
    assert furthest > 1e-5
    monkeypatch.setattr(folder, "graph_logits", lambda graphs, student, rows, batch_size: [logits[: len(rows)]])
    monkeypatch.setattr(folder, "TOLERANCE", furthest)
    overproof.export(student, tmp_path / "a")
    monkeypatch.setattr(folder, "TOLERANCE", float(np.nextafter(furthest, 0)))
    with pytest.raises(InputError, match=f"differs from torch by {furthest:.2g} in a probability"):
        overproof.export(student, tmp_path / "b")
    assert not (tmp_path / "b/model.onnx").exists()


def test_made_up_columns_hold_what_an_encoder_has_to_handle():
    """Numbers and times below, at and above the mean; categories and an unknown one; of each a missing value."""
    date = DateColumn(name="born", mean=5e15, std=2e15, daily=True, gaps=True)
    assert folder._values(date).cast(pa.int64()).to_pylist() == [3 * 10**15, 5 * 10**15, 6 * 10**15, 11 * 10**15, None]
    number = NumberColumn(name="size", mean=4.0, std=2.0, gaps=False)
    assert folder._values(number).to_pylist() == [2.0, 4.0, 5.0, 10.0, None]
    category = CategoryColumn(name="colour", family="strings", categories=("blue", "green", "red"))
    assert folder._values(category).to_pylist() == ["blue", "green", "??", "red", None]
