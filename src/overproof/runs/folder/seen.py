"""The rows that a student of a run was made from, listed beside it, so that no error rate is promised on them."""

from pathlib import Path

from overproof.methods.noise_models import Noiseless, Published
from overproof.models import load_student
from overproof.models.saved.seen_rows import SeenList, SeenRows, listed_rows, seen_rows
from overproof.models.student import ABOUT
from overproof.runs.experiment import Experiment, MethodOptions
from overproof.runs.seed_inputs import SeedInputs

ROLES = {"labelled": "labelled examples", "pool": "pool", "original": "original examples"}
"""What the rows of a role are called. Each is listed for every student of the run: encoders are fitted on the pool,
teachers trained on the original examples."""


def rows_seen_by(
    experiment: Experiment, each: MethodOptions, seed_inputs: SeedInputs, brought: tuple[list[SeenList], list[str]]
) -> SeenRows:
    """The rows that a student was trained on, chosen by or calibrated on.

    Args:
        experiment: All of the run.
        each: The student's row of the table.
        seed_inputs: What the students of the seed are made from.
        brought: From `rows_brought`.
    """
    hashes, key = seed_inputs.read_hashes, seed_inputs.seen_key
    lists = [listed_rows(name, key, hashes[role]) for role, name in ROLES.items() if role in hashes]
    if "validation" in hashes and (use := use_of_validation(experiment, each)):
        lists.append(listed_rows(f"validation examples ({use})", key, hashes["validation"]))
    return seen_rows([*lists, *brought[0]], brought[1])


def rows_brought(experiment: Experiment) -> tuple[list[SeenList], list[str]]:
    """What teachers and initial weights that were made before the run were trained on.

    Args:
        experiment: All of the run.

    Returns:
        The lists of saved students, and what has none.
    """
    lists, unknown = list[SeenList](), list[str]()

    def add(folder: Path, whose: str, otherwise: str) -> None:
        found = load_student(folder) if (folder / ABOUT).is_file() else None
        if found is None or found.seen is None:
            unknown.append(otherwise)
        else:
            lists.extend(found.seen.inherited(found.encoder, whose))
            unknown.extend(found.seen.unknown)

    for scorer in experiment.scorers:
        if scorer.answers:
            unknown.append(f"the teacher behind {', '.join(scorer.answers)}")
        elif scorer.brought:
            add(Path(scorer.model).expanduser(), "its teacher's", f"the teacher {scorer.model}")
    if start := experiment.student.start:
        add(Path(start).parent, "its initial weights'", f"the initial weights {start}")
    return lists, list(dict.fromkeys(unknown))


def use_of_validation(experiment: Experiment, row: MethodOptions | None) -> str:
    """How the training of a row used the validation labels, in words; empty where it did not.

    Args:
        experiment: The experiment of the run.
        row: A row of its table; None for the oracle.
    """
    if row is None:
        return "they decided when to stop early" if experiment.train.early_stop_epochs else ""
    built, options = experiment.method_of(row), experiment.train_options(row)
    found = {
        "the teacher's errors were estimated on them": not isinstance(built.noise, Noiseless | Published),
        "weights were computed from them": built.needs_held_out,
        "the imitation was chosen by them": built.sought is not None,
        "they decided when to stop early": bool(options.early_stop_epochs),
        "the weights of peer rounds were fitted on them": bool(row.rounds.most),
        "the weights of the teachers were fitted on them": bool(experiment.teacher.others),
    }
    return next((words for words, is_so in found.items() if is_so), "")
