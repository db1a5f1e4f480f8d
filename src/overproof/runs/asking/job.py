"""One job: all questions are asked, what they say is written, and what it came to is told."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overproof.data.wording import counted
from overproof.errors import InputError
from overproof.progress import Progress
from overproof.seeds import digest_of_file
from overproof.storage import atomic
from overproof.teachers.endpoint.asking import AskedJob, ask_all
from overproof.teachers.endpoint.book import Book
from overproof.teachers.endpoint.client import key_in, need_client
from overproof.teachers.endpoint.estimate import Forecast, estimated, sampled
from overproof.teachers.endpoint.ledger import read_lines
from overproof.teachers.endpoint.options import LICENCE_NOT_STATED, EndpointOptions
from overproof.teachers.endpoint.request import Form
from overproof.teachers.endpoint.told import (
    ANSWERS,
    SUMMARY,
    Told,
    check_followed,
    says_nothing,
    summary_of,
    told,
    write_answers,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Questions to a model, one a row.

    Args:
        options: How it is asked.
        ids: One a row.
        prompts: One a row; "" where it has no text.
        class_names: K names.
        licence: The licence under which its answers may be used; empty if not stated.
        folder: Where raw answers are.
        results: Where answers, refusals and summary are written; None for the same folder.
        kept: More columns of answers, by name: one value a row.
    """

    options: EndpointOptions
    ids: Sequence[str]
    prompts: Sequence[str]
    class_names: tuple[str, ...]
    licence: str
    folder: Path
    results: Path | None = None
    kept: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @property
    def form(self) -> Form:
        """What is the same in all questions."""
        return Form(options=self.options, class_names=self.class_names)

    def run(self, progress: Progress, *, again: bool = False) -> tuple[AskedJob, Told, dict[str, Any]]:
        """Ask what has no answer yet, and write answers, refusals and summary.

        Args:
            progress: Shows how far it is.
            again: Ask again what was rejected, or whose answer says nothing.

        Returns:
            What it came to, what the answers say, and the summary.

        Raises:
            InputError: The server takes no request, the key is missing, or the folder does not fit.
        """
        need_client()
        form, wanted = self.form, [prompt for prompt in self.prompts if prompt]
        key = key_in(os.environ, self.options.key_env)
        asked = ask_all(
            wanted,
            form,
            self.folder,
            key=key,
            progress=progress,
            **({"again": says_nothing(form)} if again else {}),
        )
        by_prompt = dict(zip(wanted, asked.outcomes, strict=True))
        of = told([by_prompt.get(prompt) for prompt in self.prompts], [bool(each) for each in self.prompts], form)
        asked.remarks += check_followed(of, asked.dialect is not None and asked.dialect.schema)
        prompt = Path(self.options.prompt).expanduser()
        digest = hashlib.sha256(prompt.read_bytes()).hexdigest()
        summary = summary_of(asked, of, form, licence=self.licence, prompt=str(self.options.prompt), digest=digest)
        results = self.results or self.folder
        write_answers(results, self.ids, of, self.kept)
        summary["answers_blake2b"] = digest_of_file(results / ANSWERS)
        atomic.write_json(results / SUMMARY, summary)
        return asked, of, summary

    def estimate(self, progress: Progress, *, send: bool) -> Forecast:
        """What is left of it would use; nothing is written unless the sample is sent.

        Args:
            progress: Shows how far it is.
            send: Ask the sampled questions, and measure.

        Raises:
            InputError: As `run`.
        """
        form, wanted, measured = self.form, list(dict.fromkeys(prompt for prompt in self.prompts if prompt)), None
        if not wanted:
            raise InputError("No row has a text, so there is nothing to ask.")
        if send:
            key = key_in(os.environ, self.options.key_env)
            measured = ask_all(sampled(wanted), form, self.folder, key=key, progress=progress)
        known = Book.of(read_lines(self.folder)).of_questions(wanted, form)
        left = sum(each is None or each.what == "failure" for each in known)
        return estimated(wanted, left, form, measured)


def sentences(summary: dict[str, Any], asked: AskedJob, folder: Path) -> list[str]:
    """What a job came to, for people.

    Args:
        summary: As `Job.run` gives it.
        asked: The same.
        folder: Where the answers are.
    """
    said = [f"The ledger ended in an unfinished line of {asked.cut} bytes, which was cut off."] if asked.cut else []
    said += summary["remarks"]
    versions = ", ".join(f"{name or 'unnamed'} ({number})" for name, number in summary["versions"].items())
    said.append(
        f"{summary['num_answered']} of {summary['num_rows']} rows have an answer of {summary['model']}"
        + (f", which the server calls {versions}." if versions else ".")
    )
    if reasons := summary["unanswered"]:
        listed = "; ".join(f"{why} ({number})" for why, number in sorted(reasons.items(), key=lambda each: -each[1]))
        said.append(
            f"{counted(summary['num_unanswered'], 'has', 'have')} none, listed in {folder / 'refusals.csv'}: {listed}."
        )
    cost = "" if summary["cost"] is None else f", cost {summary['cost']:.4g}"
    estimated = summary["requests_with_estimated_tokens"]
    note = f" ({counted(estimated, 'request')} estimated from characters)" if estimated else ""
    said.append(
        f"Used in all: {counted(summary['requests'], 'request')}, {summary['prompt_tokens']:,} + "
        f"{summary['answer_tokens']:,} "
        f"tokens{note}{cost}; now: {counted(summary['requests_now'], 'request')}."
    )
    said.append(f"Licence of the teacher's answers: {summary['licence'] or LICENCE_NOT_STATED}.")
    return said


def left_over(summary: dict[str, Any]) -> str:
    """Why a job is not finished; empty where it is.

    Args:
        summary: As `Job.run` gives it.
    """
    if not summary["num_left"]:
        return ""
    why = f": {summary['stopped']}" if summary["stopped"] else ""
    return (
        f"{counted(summary['num_left'], 'row is', 'rows are')} still to be asked{why}. Run the same command "
        "again to go on."
    )
