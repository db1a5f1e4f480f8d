"""Which regime a run was in, from what its hard student learned."""

import pytest

from overproof.evaluation.findings import RunFacts, findings_of
from overproof.evaluation.verdict import Row, summarise


def findings(learned, right_where_wrong, hard=0.8, alone=0.7, repeated=0, spread=0.001):
    def row(method, accuracy, role, seed):
        metrics = {
            "accuracy": accuracy + seed * (spread if method == "hard" else 0.001),
            # The regime is told by the student of hard labels alone.
            "accuracy_where_teacher_wrong": right_where_wrong if method == "hard" else 1 - right_where_wrong,
        }
        return Row(method=method, seed=seed, metrics=metrics, role=role)

    rows = [
        row(*each, seed)
        for seed in (0, 1)
        for each in (
            ("teacher", 0.75, "reference"),
            ("hard", hard, "conventional"),
            ("labelled_only", alone, "reference"),
        )
    ]
    facts = {
        "teacher_accuracy": {"mean": 0.7, "low": 0.6, "high": 0.8},
        "pool_answers_right": 0.7,
        "mistakes_learned": learned,
        "num_labelled": 100,
        "noise": {},
    }
    trainings = {("hard", seed): facts for seed in (0, 1)}
    return " ".join(
        findings_of(RunFacts(trainings=trainings, rows=rows, summary=summarise(rows), repeated={"pool": repeated}))
    )


@pytest.mark.parametrize(
    ("learned", "right_where_wrong", "word"),
    [(0.25, 0.48, "averaging regime"), (0.63, 0.45, "memorising regime"), (0.97, 0.08, "systematic")],
)
def test_the_three_regimes_are_told_apart(learned, right_where_wrong, word):
    said = findings(learned, right_where_wrong)
    assert word in said
    assert sum(other in said for other in ("averaging regime", "memorising regime", "systematic")) == 1


def test_a_student_that_passes_its_teacher_and_labels_that_do_better_are_named():
    assert "passes its teacher" in findings(0.6, 0.4)
    assert "passes its teacher" not in findings(0.6, 0.4, hard=0.6)
    unsure = findings(0.6, 0.4, hard=0.72, spread=0.08)
    assert "passes its teacher" not in unsure
    assert "The student of hard labels and its teacher are not told apart: 0.760 against 0.750" in unsure
    assert "labels alone BEATS" in findings(0.6, 0.4, alone=0.9)
    assert "labels alone BEATS" not in findings(0.6, 0.4)


def test_repetitions_in_the_test_are_counted():
    assert "12 pool examples are also in the test" in findings(0.6, 0.4, repeated=12)
