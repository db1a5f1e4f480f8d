"""Write the HTML page of an assessment: the recommendation first, then its facts and charts."""

from overproof.assessment.assess import DRIFT_LEVEL, OR_AUTO, TOGETHER, Assessment
from overproof.assessment.estimates import Estimate
from overproof.assessment.on_pool import ACCURACY_STEPS
from overproof.evaluation.confusions import MAX_MATRIX
from overproof.report import charts
from overproof.report.page import Section, page, rendered
from overproof.report.sections import findings_section


def assessment_page(assessment: Assessment, title: str) -> str:
    """The page of an assessment.

    Args:
        assessment: The assessment.
        title: Title of the page.
    """
    names = list(assessment.share_by_class)
    sections = [
        Section(name="facts", title="Facts", body=rendered("facts.html", facts=_facts(assessment))),
        _curve(assessment),
        _classes(assessment, names),
        findings_section(assessment.findings),
    ]
    return page(
        title=title,
        kind="Assessment of a teacher",
        verdict=f"{assessment.opening} Recommendation: {assessment.recommendation}. {assessment.reason}",
        sections=[section for section in sections if section is not None],
        facts=[f"{assessment.num_labelled} labelled", f"{assessment.num_pool} in the pool", f"{len(names)} classes"],
    )


def _facts(assessment: Assessment) -> list[tuple[str, str, str]]:
    """Name, value and meaning of each fact."""
    facts = [
        ("in the experiment", assessment.yaml, "" if assessment.recommendation == "auto" else OR_AUTO),
        ("teacher accuracy", _written(assessment.accuracy), "out of sample, on the labelled examples"),
        ("on the pool", _written(assessment.pool_accuracy), f"expected, by the {assessment.goes_by} there"),
    ]
    if assessment.labels_alone is not None:
        facts.append(
            ("labels alone", _written(assessment.labels_alone), "a linear probe on the inputs, cross-validated")
        )
    if assessment.alone_where_wrong is not None:
        facts.append(("where it errs", _written(assessment.alone_where_wrong), "the same, on the teacher's errors"))
    if assessment.ceiling is not None:
        facts.append(("both together", _written(assessment.ceiling), TOGETHER))
    if assessment.labels_needed is not None:
        facts.append(
            ("more labels", str(assessment.labels_needed), "in total would tell teacher and labels alone apart")
        )
    if assessment.errors is not None:
        mean, low, high = assessment.errors.by_inputs
        facts.append(
            ("predictable errors", f"{mean:.2f} [{low:.2f}, {high:.2f}]",
             f"area under the curve of a probe on the inputs; by the margin alone {assessment.errors.by_margin[0]:.2f}")
        )  # fmt: skip
    if assessment.reliability:
        side = "overconfident" if assessment.temperature > 1 else "underconfident"
        facts.append(
            ("calibration error", f"{assessment.ece:.1%}", f"{side}: temperature {assessment.temperature:.2f}")
        )
    if len(assessment.coverage) > 1:
        facts += [
            (f"truth among {k}", f"{share:.1%}", "likeliest class" if k == 1 else "likeliest classes")
            for k, share in assessment.coverage.items()
        ]
    if assessment.log_losses:
        losses = ", ".join(f"{name} {loss:.3f}" for name, loss in assessment.log_losses.items())
        facts.append(("log-loss", losses, "nats, out of fold" if len(assessment.log_losses) > 1 else "nats"))
    if assessment.drift is not None:
        alike = "differ" if assessment.drift < DRIFT_LEVEL else "look alike"
        facts.append(("pool and labels", alike, f"by the teacher's {assessment.goes_by}, p = {assessment.drift:.2g}"))
    repeated = ", ".join(f"{count} {role}" for role, count in assessment.repeated.items() if count)
    facts.append(("also in the test set", repeated or "none", "identical examples, character for character"))
    return facts


def _curve(assessment: Assessment) -> Section:
    ends = (0.0, *ACCURACY_STEPS, 1.0)
    pool = {
        f"{low:.0%} to {high:.0%}": share
        for low, high, share in zip(ends[:-1], ends[1:], assessment.pool_by_accuracy, strict=True)
    }
    points = {at: (each.mean, each.low, each.high) for at, each in assessment.reliability.items()}
    drawn = [
        ("The pool by expected accuracy", charts.shares(pool, "share of the pool"),
         "Share of the pool by expected accuracy."),
    ]  # fmt: skip
    if points:
        note = "Isotonic, with a pointwise 95 % bootstrap band."
        drawn.insert(0, ("Accuracy by margin", charts.accuracy_curve(points), note))
    return Section(name="curve", title="Accuracy of the teacher", body=rendered("charts.html", charts=drawn, intro=""))


def _classes(assessment: Assessment, names: list[str]) -> Section:
    rows = [
        (name, _written(assessment.accuracy_by_class[name]) if name in assessment.accuracy_by_class else "unknown",
         f"{share:.1%}")
        for name, share in assessment.share_by_class.items()
    ]  # fmt: skip
    confusions = [(true, named, _written(estimate)) for true, named, estimate in assessment.confusions]
    matrix = []
    if len(names) <= MAX_MATRIX:
        shares = [[round(10_000 * value) for value in row] for row in assessment.transition]
        chart = charts.confusion(shares, names, "the teacher")
        matrix = [("Transition matrix", chart, "P(predicted class | true class), in %.")]
    return Section(
        name="classes",
        title="By class",
        body=rendered("classes.html", rows=rows, confusions=confusions, charts=matrix, intro=""),
    )


def _written(estimate: Estimate) -> str:
    return str(estimate)
