"""A method that beats the baseline alone need not beat it among many: at which corrected p-value the verdict turns."""

import pytest

from overproof.evaluation.holm import corrected
from overproof.evaluation.verdict import Summary


def summary(method: str, p_value: float | None, difference: float = 0.02, level: float = 0.95) -> Summary:
    return Summary(
        method=method, role="method", metric="accuracy", level=level, num_seeds=3, mean=0.9, low=0.88, high=0.92,
        baseline="hard", num_pairs=3, difference=difference, difference_low=difference - 0.01,
        difference_high=difference + 0.01, p_value=p_value, recovered=None, recovered_low=None, recovered_high=None,
        verdict="BEATS", interval="seeds",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("p_value", "level", "verdict"),
    [(0.016, 0.95, "BEATS"), (0.017, 0.95, "INCONCLUSIVE"), (0.03, 0.9, "BEATS"), (0.034, 0.9, "INCONCLUSIVE")],
)
def test_the_smallest_of_three_p_values_counts_three_times(p_value, level, verdict):
    table = [summary(name, p, level=level) for name, p in (("a", p_value), ("b", 0.6), ("c", 0.7), ("d", None))]
    found = corrected(table)
    assert found["a"].verdict == verdict
    assert found["a"].p_value == pytest.approx(3 * p_value)
    assert [found[name].verdict for name in "bcd"] == ["INCONCLUSIVE"] * 3
    assert found["d"].p_value is None


def test_a_worse_method_never_beats():
    assert corrected([summary("a", 0.001, difference=-0.02)])["a"].verdict == "DOES NOT BEAT"
