"""The report's section on weights and estimated teacher accuracy: what changes during training, and what does not."""

import html
import re

from overproof.report.sections import weights_section

CONSTANT = [{"epoch": epoch, "weight_counts": [5, *[0] * 19, 10]} for epoch in range(1, 5)]
FALLING = [
    {"epoch": epoch, "weight_counts": [5 * (epoch - 1), *[0] * 19, 20 - 5 * (epoch - 1)]} for epoch in range(1, 5)
]
ALL_ONE = [{"epoch": epoch, "weight_counts": [*[0] * 20, 20]} for epoch in range(1, 5)]
CURVE = {"0.0": 0.55, "0.5": 0.7, "1.0": 0.975}
DOUBT = {"accuracy_counts": [0] * 11 + [4, 0, 0, 5, 0, 0, 0, 0, 11]}

WD = {"method": "wd", "num_pool": 20, "history": FALLING, "doubt": DOUBT, "noise": {"accuracy_at_margin": CURVE}}
SLAM = {"method": "slam", "num_pool": 20, "history": ALL_ONE, "doubt": DOUBT, "noise": {"accuracy_at_margin": CURVE}}
FIDELITY = {"method": "fidelity", "num_pool": 15, "history": CONSTANT}


def text_of(students, refreshed) -> str:
    section = weights_section(students, refreshed)
    assert section is not None
    return html.unescape(re.sub(r"\s+", " ", section.body))


def test_weights_are_shown_at_several_epochs_and_the_accuracy_once():
    body = text_of([WD, SLAM], ["wd"])
    assert "Only the weights of wd change during training: they are estimated again before every epoch" in body
    assert "the teacher's accuracy is estimated once, before training." in body
    for epoch, low in ((1, 0), (2, 25), (3, 50), (4, 75)):
        assert f"epoch {epoch}: {low} % below one half, {100 - low} % in the highest bin" in body
    assert body.count("slam: weights") == 0, "all of them are one"
    # One chart for both: the curve, and the histogram over the pool.
    assert body.count("Estimated teacher accuracy") == 1
    assert (
        "Estimated accuracy of the teacher by its margin, and its distribution over the pool examples of wd, slam"
        in body
    )
    assert "Estimated accuracy of the teacher: 55 % at margin 0, 98 % at margin 1" in body
    assert "it is the same at every epoch" in body


def test_constant_weights_are_reported_as_constant():
    body = text_of([SLAM], ["wd"])
    assert "Nothing here changes during training: the teacher's accuracy is estimated once" in body
    assert "epoch 1" not in body
    # Weights that are fixed before training: one histogram.
    body = text_of([FIDELITY], ["wd"])
    assert "before training, as are the weights of fidelity." in body
    assert "every epoch: 33 % below one half" in body
    assert "epoch 1:" not in body


def test_an_accuracy_by_class_has_no_curve():
    by_class = {**SLAM, "noise": {"accuracy_at_margin": {"0.0": 0.8, "1.0": 0.8}}}
    body = text_of([by_class], [])
    assert "Estimated accuracy of the teacher by its pseudo-label, and" in body
    assert "at margin" not in body
    assert weights_section([{"method": "hard", "num_pool": 20, "history": ALL_ONE}], []) is None
