"""Print an assessment on one page of a terminal: the recommendation, its facts, and tables by margin and class."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from overproof.assessment.assess import DRIFT_LEVEL, OR_AUTO, TOGETHER, Assessment
from overproof.assessment.on_pool import ACCURACY_STEPS

BAR_WIDTH = 24
"""Width of a full bar in characters."""


def page(assessment: Assessment) -> RenderableType:
    """The recommendation first, then the facts it is based on."""
    top = Text.assemble((assessment.opening, "bold"), "\n")
    top.append_text(Text.assemble("Recommendation: ", (assessment.recommendation, "bold"), "\n", assessment.reason))
    top.append(f"\nIn the experiment:\n  {assessment.yaml}")
    if assessment.recommendation != "auto":
        top.append(f"\n{OR_AUTO}")
    facts = _table("", "", "")
    facts.add_row(
        "teacher accuracy",
        str(assessment.accuracy),
        f"out of sample, on {assessment.num_labelled} labelled examples (a run's table: on the test, if it has one)",
    )
    facts.add_row(
        "on the pool",
        str(assessment.pool_accuracy),
        f"expected by the {assessment.goes_by}, {assessment.num_pool} examples",
    )
    if assessment.labels_alone is not None:
        facts.add_row(
            "labels alone", str(assessment.labels_alone), "linear probe on the student's features, cross-validated"
        )
    if assessment.alone_where_wrong is not None:
        facts.add_row("where it errs", str(assessment.alone_where_wrong), "the same, on the teacher's errors")
    if assessment.ceiling is not None:
        facts.add_row("both together", str(assessment.ceiling), TOGETHER)
    if assessment.labels_needed is not None:
        facts.add_row(
            "more labels", str(assessment.labels_needed), "in total would tell teacher and labels alone apart"
        )
    if assessment.reliability:
        side = "overconfident" if assessment.temperature > 1 else "underconfident"
        facts.add_row("calibration", f"error {assessment.ece:.1%}", f"{side}: temperature {assessment.temperature:.2f}")
    if assessment.log_losses:
        losses = ", ".join(f"{name} {loss:.3f}" for name, loss in assessment.log_losses.items())
        facts.add_row("log-loss", losses, "nats, out of fold" if len(assessment.log_losses) > 1 else "nats")
    if len(assessment.coverage) > 1:
        coverage = ", ".join(f"{share:.1%} in {k}" for k, share in assessment.coverage.items())
        facts.add_row("truth among", coverage, "likeliest classes")
    if assessment.drift is not None:
        unlike = "differ" if assessment.drift < DRIFT_LEVEL else "look alike"
        facts.add_row("pool and labels", unlike, f"by the teacher's {assessment.goes_by}, p = {assessment.drift:.2g}")
    repeated = ", ".join(f"{count} {role}" for role, count in assessment.repeated.items() if count)
    facts.add_row("also in the test", repeated or "none", "identical examples, character for character")
    curve: list[RenderableType] = [_reliability(assessment), Text()] if assessment.reliability else []
    shown: list[RenderableType] = [
        top,
        Text(),
        facts,
        Text(),
        *curve,
        _pool(assessment),
        Text(),
        _classes(assessment),
    ]
    if assessment.confusions:
        shown += [Text(), _confusions(assessment)]
    for finding in assessment.findings:
        shown += [Text(), Text(finding)]
    return Group(*shown)


def _reliability(assessment: Assessment) -> Table:
    drawn = _table("margin", "accuracy", "band", "")
    for at, estimate in assessment.reliability.items():
        drawn.add_row(
            f"{at:.1f}", f"{estimate.mean:.1%}", f"{estimate.low:.1%} to {estimate.high:.1%}", _bar(estimate.mean)
        )
    return drawn


def _pool(assessment: Assessment) -> Table:
    drawn = _table("expected accuracy", "of the pool", "")
    ends = (0.0, *ACCURACY_STEPS, 1.0)
    for low, high, share in zip(ends[:-1], ends[1:], assessment.pool_by_accuracy, strict=True):
        drawn.add_row(f"{low:.0%} to {high:.0%}", f"{share:.1%}", _bar(share))
    return drawn


def _classes(assessment: Assessment) -> Table:
    drawn = _table("class", "teacher right where it is true", "share of its pool answers")
    for name, share in assessment.share_by_class.items():
        estimate = assessment.accuracy_by_class.get(name)
        drawn.add_row(name, "no labelled example" if estimate is None else str(estimate), f"{share:.1%}")
    return drawn


def _confusions(assessment: Assessment) -> Table:
    drawn = _table("true class", "predicted class", "share")
    for true, named, estimate in assessment.confusions:
        drawn.add_row(true, named, str(estimate))
    return drawn


def _bar(share: float) -> str:
    return "█" * round(share * BAR_WIDTH)


def _table(*columns: str) -> Table:
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=any(columns))
    for column in columns:
        drawn.add_column(column)
    return drawn
