"""Checks the options of a run against the headers and schemas of its files, before any file is read."""

from collections.abc import Iterator

from overproof.data import Preview, check_one_kind, preview
from overproof.errors import InputError
from overproof.models import ModelSpec, resolved_for
from overproof.models.importing import check_allowed
from overproof.runs.experiment import Experiment
from overproof.teachers import kind_of


def preflight(experiment: Experiment) -> dict[str, Preview]:
    """Check that files and columns exist, that all roles hold one kind, and that student and teacher read it.

    Args:
        experiment: All of a run.

    Returns:
        The header and schema of each file, by role.

    Raises:
        InputError: The first thing that does not fit.
    """
    for option, path in import_paths(experiment):
        check_allowed(path, f"Option '{option}'")
    previews = {str(role): preview(source, role=role) for role, source in experiment.data.files.items()}
    kind = check_one_kind(previews)
    _check_rows(experiment, previews)
    _check_folds(experiment)
    for number, scorer in enumerate(experiment.scorers):
        kind_of(scorer).check(scorer, f"teacher.others.{number - 1}" if number else "teacher", kind)
    if kind is not None:
        options = experiment.student
        resolved_for(ModelSpec(name=options.name, options=options.options), kind, next(iter(previews.values())).name)
    return previews


def import_paths(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """The import paths that an experiment names, each as (option, path).

    Args:
        experiment: All of a run.
    """
    students = [("student.name", "student.options", experiment.student.name, experiment.student.options)]
    for number, scorer in enumerate(experiment.scorers):
        group = f"teacher.others.{number - 1}" if number else "teacher"
        if not scorer.brought or scorer.weights:
            students.append((f"{group}.model", f"{group}.options", scorer.model, scorer.options))
    for option, group, name, options in students:
        if ":" in name:
            yield option, name
        if name == "adapter" and options.get("encoder") == "frozen_encoder":
            name, group, options = "frozen_encoder", f"{group}.encoder_options", options.get("encoder_options") or {}
        for inner, own in (("embedder", "embedding"), ("encoder", "frozen_encoder")):
            if name == own and isinstance(path := options.get(inner), str) and path != "minilm":
                yield f"{group}.{inner}", path


def _check_rows(experiment: Experiment, previews: dict[str, Preview]) -> None:
    """No role may have more rows than its file; how many of them are distinct is checked when they are read."""
    rows = {str(role): count for role, count in experiment.data.rows.items() if isinstance(count, int)}
    for role, found in previews.items():
        drawn = set(rows) - set(experiment.data.files) if role == "all" else {role} & set(rows)
        asked = {each: rows[each] for each in rows if each in drawn}
        if found.exact and sum(asked.values()) > found.num_rows:
            listed = ", ".join(f"{count} {each}" for each, count in asked.items())
            raise InputError(
                f"Option 'data.rows' asks for {listed} examples, but {found.name} has {found.num_rows} rows."
            )


def _check_folds(experiment: Experiment) -> None:
    num_labelled = experiment.data.number_of("labelled") or 0
    for scorer in experiment.scorers:
        if scorer.trained_here and 0 < num_labelled < scorer.folds:
            raise InputError(
                f"Option 'data.rows.labelled' is {num_labelled}, fewer than the {scorer.folds} folds of the teacher; "
                f"use fewer folds or label more."
            )


def check_assessable(experiment: Experiment) -> None:
    """Check that there are labels on which a teacher can be assessed.

    Args:
        experiment: All of a run.

    Raises:
        InputError: The teacher is trained on all labelled examples.
    """
    if not experiment.answers_out_of_sample and not experiment.data.has_validation:
        raise InputError(
            "The teacher is trained on all the labelled examples, so it can be assessed on others alone: add a "
            "'validation' role of labelled examples to 'data', or cross-fit the teacher (teacher.folds 2 or more)."
        )
