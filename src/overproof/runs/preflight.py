"""Checks the options of a run against the headers and schemas of its files, before any file is read."""

import json
from pathlib import Path

from overproof.data import Kind, Preview, check_one_kind, preview
from overproof.data.wording import nearest
from overproof.errors import InputError
from overproof.models import FROZEN, ZOO, ModelSpec, is_estimator, resolved_for
from overproof.models.importing import imported
from overproof.runs.experiment import Experiment, ScorerOptions
from overproof.teachers.trained.estimator import made


def preflight(experiment: Experiment) -> dict[str, Preview]:
    """Check that files and columns exist, that all roles hold one kind, and that student and teacher read it.

    Args:
        experiment: All of a run.

    Returns:
        The header and schema of each file, by role.

    Raises:
        InputError: The first thing that does not fit.
    """
    previews = {str(role): preview(source, role=role) for role, source in experiment.data.files.items()}
    kind = check_one_kind(previews)
    _check_rows(experiment, previews)
    _check_folds(experiment)
    for number, scorer in enumerate(experiment.scorers):
        _check_scorer(scorer, f"teacher.others.{number - 1}" if number else "teacher", kind)
    if kind is not None:
        options = experiment.student
        resolved_for(ModelSpec(name=options.name, options=options.options), kind, next(iter(previews.values())).name)
    return previews


def _check_rows(experiment: Experiment, previews: dict[str, Preview]) -> None:
    """No role may have more rows than its file; how many of them are distinct is checked when they are read."""
    rows: dict[str, int] = {str(role): count for role, count in experiment.data.rows.items()}
    for role, found in previews.items():
        drawn = set(rows) - set(experiment.data.files) if role == "all" else {role} & set(rows)
        asked = {each: rows[each] for each in rows if each in drawn}
        if found.exact and sum(asked.values()) > found.num_rows:
            listed = ", ".join(f"{count} {each}" for each, count in asked.items())
            raise InputError(
                f"Option 'data.rows' asks for {listed} examples, but {found.name} has {found.num_rows} rows."
            )


def _check_folds(experiment: Experiment) -> None:
    num_labelled = experiment.data.rows.get("labelled", 0)
    for scorer in experiment.scorers:
        if scorer.trained_here and 0 < num_labelled < scorer.folds:
            raise InputError(
                f"Option 'data.rows.labelled' is {num_labelled}, fewer than the {scorer.folds} folds of the teacher; "
                f"ask for fewer folds or label more."
            )


def _check_scorer(scorer: ScorerOptions, option: str, kind: Kind | None) -> None:
    for path in scorer.answers:
        _check_there(path, f"{option}.answers")
    if scorer.answers:
        return
    if scorer.brought:
        _check_brought(scorer, option, kind)
        return
    if kind is None:
        return
    model = scorer.model
    if model in FROZEN:
        reads = {"minilm": "text", "efficientnet_lite0": "image"}.get(model, kind)
        if reads != kind:
            raise InputError(
                f"Option '{option}.model' is {model!r}, which reads {reads}; the data are of kind {kind!r}."
            )
    elif ":" in model:
        if not is_estimator(imported(model, what="teacher")):
            return
        made(model, scorer.options)
        if kind == "text":
            raise InputError(
                f"Option '{option}.model' is {model!r}, which reads tables and images; for text use 'minilm' or "
                f"'ngram'."
            )
    elif model not in ("auto", "student", "answers"):
        suited = [name for name, architecture in ZOO.items() if kind in architecture.kinds]
        if model not in ZOO:
            known = [*suited, *FROZEN, "auto", "student", "answers"]
            raise InputError(
                f"Option '{option}.model' is {model!r}{nearest(model, known)}; allowed are {', '.join(known)}, an "
                f"import path 'package.module:factory', or the path of a saved model."
            )
        if kind not in ZOO[model].kinds:
            raise InputError(
                f"Option '{option}.model' is {model!r}, but the data are of kind {kind!r}; allowed for these are "
                f"{', '.join(suited)}, an import path, a saved model or files of answers."
            )
        resolved_for(ModelSpec(name=model, options=scorer.options), kind, option)


def _check_there(path: str, option: str) -> None:
    found = Path(path).expanduser()
    if not found.exists():
        beside = [each.name for each in found.parent.iterdir()] if found.parent.is_dir() else []
        raise InputError(
            f"Option '{option}' is {path!r}, and there is nothing of that name{nearest(found.name, beside)}."
        )


def _check_brought(scorer: ScorerOptions, option: str, kind: Kind | None) -> None:
    """The files must exist. A saved student also names the kind it reads; other models are checked when opened."""
    if scorer.weights:
        _check_there(scorer.weights, f"{option}.weights")
        return
    _check_there(scorer.model, f"{option}.model")
    try:
        encoder = json.loads((Path(scorer.model).expanduser() / "student.json").read_text())["encoder"]["type"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    reads = {"image": "image", "ngram": "text", "embedding": "text", "plain": "table", "table": "table"}.get(encoder)
    if None not in (kind, reads) and reads != kind:
        raise InputError(
            f"Option '{option}.model' is a saved student that reads {reads}; the data are of kind {kind!r}."
        )
