"""The teacher `endpoint` of a run: it is asked about all examples once, and its answers are read as a file.

    asked/MODEL/raw.jsonl      its raw answers, whatever the prompt
    asked/MODEL/JOB/…          what they say of the run's examples: answers, refusals, summary

MODEL and JOB are hashes of what they are named after. A job that is finished is read, and nothing is sent again.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from overproof.answers.tables import as_text
from overproof.data import Examples
from overproof.errors import InputError
from overproof.models.importing import allowed
from overproof.processes import leads
from overproof.progress import Progress
from overproof.runs.asking.job import Job, left_over, sentences
from overproof.runs.experiment import ScorerOptions
from overproof.runs.roles import Roles
from overproof.seeds import digest_of_file
from overproof.storage import atomic, checked
from overproof.teachers.endpoint.ledger import NAME, key_of, read_lines
from overproof.teachers.endpoint.options import endpoint_options
from overproof.teachers.endpoint.prompt import read_prompt
from overproof.teachers.endpoint.told import ANSWERS, SUMMARY

ASKED = "asked"
"""The folder, in a run's, of what models at addresses were asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedTeacher:
    """What a teacher at an address has answered.

    Args:
        answers: The file of answers, by content id.
        summary: What the job came to.
    """

    answers: Path
    summary: dict[str, Any]

    def in_file(self, asked: ScorerOptions) -> ScorerOptions:
        """The teacher as one that brings its answers in a file.

        Args:
            asked: As the experiment names it.
        """
        vote = "set" if asked.options.get("answer") == "set" else "soft"
        options = {"model": "answers", "options": {}, "answers": (str(self.answers),), "vote": vote}
        return asked.model_copy(update=options)

    def sentence(self) -> str:
        """Who answered, for the report and the model card."""
        versions = ", ".join(f"{name or 'unnamed'}" for name in self.summary["versions"])
        return (
            f"The teacher is {self.summary['model']} at {self.summary['url']}"
            + (f", which calls itself {versions}" if versions else "")
            + f": {self.summary['num_answered']} of {self.summary['num_rows']} examples have an answer."
        )


def without_keys(examples: Examples) -> Examples:
    """Examples that are looked up by their content: a model was asked about that."""
    return replace(examples, keys=None)


def ask_teacher(
    scorer: ScorerOptions, roles: Roles, folder: Path, progress: Progress, runs: Sequence[Path] = ()
) -> AskedTeacher:
    """Ask about all examples of a run what was not asked yet.

    Args:
        scorer: A teacher `endpoint`.
        roles: The run's examples, as they were read.
        folder: The run's, or that of a comparison.
        progress: Shows how far it is.
        runs: Other runs. What they asked the same model is copied where this run has asked it nothing yet.

    Raises:
        InputError: The user has not named the address, the server takes no request, or examples are left to ask.
    """
    options = endpoint_options(scorer.options)
    prompt = read_prompt(options.prompt)
    questions: dict[str, str] = {}
    for examples in roles.fixed.values():
        for key, values in _values(examples, prompt.fields, options.prompt):
            if key not in questions:
                whole = all(value.strip() for value in values.values())
                questions[key] = prompt.rendered(values, roles.class_names) if whole else ""
    home = folder / ASKED / key_of({"url": options.address, "model": options.model})[:16]
    answering = {"answer", "constrain", "logprobs", "temperature", "max_answer_tokens", "parameters"}
    named = {name: value for name, value in options.model_dump(mode="json").items() if name in answering}
    asked = hashlib.sha256(json.dumps([*questions.items()]).encode()).hexdigest()
    results = home / key_of({"options": named, "classes": roles.class_names, "questions": asked})[:16]
    if (summary := _finished(results)) is None:
        if options.url not in allowed():
            raise InputError(
                f"Option 'teacher.options.url' is {options.url!r}; texts go only to an address that you type: add "
                f"--allow-import {options.url} to the command (in Python: allow_import={options.url!r})."
            )
        if not leads():
            raise InputError("Several processes cannot ask at once: run `overproof label` first, as one process.")
        _copied(home, [each / home.relative_to(folder) for each in runs])
        job = Job(
            options=options,
            ids=list(questions),
            prompts=list(questions.values()),
            class_names=roles.class_names,
            licence=scorer.licence,
            folder=home,
            results=results,
        )
        came_to, _, summary = job.run(progress)
        if why := left_over(summary):
            reasons = "; ".join(f"{reason} ({number})" for reason, number in summary["unanswered"].items())
            raise InputError(f"The teacher {options.model!r} is not done: {why} Unanswered: {reasons}.")
        for sentence in sentences(summary, came_to, results):
            progress.note(lambda sentence=sentence: sentence)  # type: ignore[misc]
    if not summary["num_answered"]:
        raise InputError(
            f"No answer of {options.model!r} to {summary['num_rows']} examples names a class; they are listed in "
            f"{results / 'refusals.csv'}."
        )
    return AskedTeacher(answers=results / ANSWERS, summary=summary)


def _copied(home: Path, others: Sequence[Path]) -> None:
    """The largest ledger of other runs, where there is none here; an answer is found in it by its question."""
    there = [each / NAME for each in others if (each / NAME).is_file()]
    if there and not (home / NAME).exists():
        lines = read_lines(max(there, key=lambda each: each.stat().st_size).parent)
        atomic.write_text(home / NAME, "".join(json.dumps(checked.sealed(each)) + "\n" for each in lines))


def _finished(results: Path) -> dict[str, Any] | None:
    """The summary of a job that is finished, whose file of answers is what was written."""
    try:
        summary: dict[str, Any] = json.loads((results / SUMMARY).read_bytes())
        same = summary["answers_blake2b"] == digest_of_file(results / ANSWERS)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return summary if same and not summary["num_left"] else None


def _values(examples: Examples, fields: tuple[str, ...], prompt: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The content id of each example, and what the fields of the prompt stand for."""
    for part in examples.parts():
        ids = as_text(part.ids).to_pylist()
        if part.kind == "text":
            check = ["text"]
            columns = {"text": part.inputs}
        else:
            check = part.column_names
            columns = {name: part.column(name) for name in check}
        if set(fields) - set(check):
            raise InputError(
                f"{prompt} asks for {{{min(set(fields) - set(check))}}}, and the examples of {examples.origin} have no "
                f"column of that name; they have {', '.join(check)}."
            )
        texts = [_as_words(columns[name]) for name in fields]
        for key, *row in zip(ids, *texts, strict=True):
            yield key, dict(zip(fields, row, strict=True))


def _as_words(column: Any) -> list[str]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    return [("" if each is None else str(each)) for each in column.to_pylist()]
