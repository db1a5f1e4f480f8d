"""Recorded losses: a change that should not change numbers must not change these.

Written anew, on purpose and with a reason in the commit, by `python tests/methods/test_golden_losses.py`.
"""

import json
from pathlib import Path

import pytest

from overproof import TrainOptions, distill
from overproof.data import from_arrays
from overproof.methods.published import method, method_names
from overproof.models import build
from overproof.synthetic import blobs

GOLDEN = Path(__file__).parent / "golden_losses.json"


def losses(name: str) -> list[float]:
    world = blobs(num_examples=600, num_classes=4, seed=0)
    teacher = None
    if method(name).initial == "teacher":
        teacher = build("mlp", [from_arrays(world.inputs)], class_names="abcd", seed=1).module
    result = distill(
        "mlp",
        world.inputs[200:],
        world.teacher_probs[200:],
        world.inputs[:200],
        world.label[:200],
        world.teacher_probs[:200],
        method=name,
        teacher=teacher,
        train=TrainOptions(epochs=3, batch_size=64, learning_rate=0.01, optimizer="adamw"),
    )
    return [record.loss for record in result.history]


@pytest.mark.parametrize("name", method_names())
def test_losses_are_those_recorded(name):
    # Six digits: processors differ in how they round sums, not in what they compute.
    assert losses(name) == pytest.approx(json.loads(GOLDEN.read_text())[name], rel=1e-6)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({name: losses(name) for name in method_names()}, indent=1) + "\n")
