"""What all answers of a job say, and the files in which that is written: answers, refusals, and a summary."""

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overproof.errors import visible
from overproof.storage import atomic
from overproof.teachers.endpoint.asking import AskedJob
from overproof.teachers.endpoint.book import Outcome
from overproof.teachers.endpoint.reading import NO_LOGPROBS, Meaning, Raw, read_answer
from overproof.teachers.endpoint.request import Form

ANSWERS, REFUSALS, SUMMARY = "answers.jsonl", "refusals.csv", "summary.json"
"""The files of a job."""

NO_TEXT = "the row has no text"
"""Why a row was not asked."""

_ALIKE = "the classes do not differ in their first tokens"


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What the answers of a job say.

    Args:
        answers: One a row: columns of a file of answers; None where there is none.
        silent: By row, why there is no answer, and the model's words.
        rules: How many answers were read by which rule.
        remarks: Sentences about log-probabilities and rules.
    """

    answers: tuple[dict[str, Any] | None, ...]
    silent: Mapping[int, tuple[str, str]]
    rules: Counter[str]
    remarks: tuple[str, ...]

    @property
    def reasons(self) -> Counter[str]:
        """How many rows have no answer, by reason."""
        return Counter(why for why, _ in self.silent.values())

    @property
    def num_answered(self) -> int:
        """Rows with an answer."""
        return sum(each is not None for each in self.answers)


def told(outcomes: Sequence[Outcome | None], has_text: Sequence[bool], form: Form) -> Told:
    """Read all answers.

    Args:
        outcomes: One a row; of rows without a text it does not count.
        has_text: [N], whether the row was asked.
        form: Of the questions.
    """
    options, readings, silent = form.options, dict[int, Meaning](), dict[int, tuple[str, str]]()
    rules: Counter[str] = Counter()
    for row, (outcome, asked) in enumerate(zip(outcomes, has_text, strict=True)):
        if not asked:
            silent[row] = NO_TEXT, ""
        elif outcome is None:
            silent[row] = "not asked yet", ""
        elif outcome.raw is None:
            silent[row] = f"{'rejected' if outcome.what == 'rejected' else 'failed'}: {outcome.why}", ""
        else:
            reading = reading_of(outcome, form)
            if reading.named:
                readings[row] = reading
                rules[reading.rule] += 1
            else:
                silent[row] = reading.rule, outcome.raw.refusal or outcome.raw.text or ""
    remarks, answers = list[str](), list[dict[str, Any] | None]([None] * len(outcomes))
    raws = [outcome.raw for outcome in outcomes if outcome is not None and outcome.raw is not None]
    use = options.logprobs and _use_logprobs(list(readings.values()), raws, remarks)
    for row, reading in readings.items():
        if options.answer == "set":
            answers[row] = {"labels": list(reading.named)}
        elif use:
            answers[row] = {"logprobs": dict(reading.logprobs or {reading.named[0]: 0.0})}
        else:
            answers[row] = {"label": reading.named[0]}
    if mentioned := rules["by a mention"]:
        remarks.append(
            f"{mentioned} of {len(readings)} answers are sentences; each mentions one class, which is taken for it."
        )
    return Told(answers=tuple(answers), silent=silent, rules=rules, remarks=tuple(remarks))


def reading_of(outcome: Outcome, form: Form) -> Meaning:
    """What one answer says.

    Args:
        outcome: An answer.
        form: Of the questions.
    """
    assert outcome.raw is not None
    options = form.options
    return read_answer(outcome.raw, form.class_names, several=options.answer == "set", use_logprobs=options.logprobs)


def says_nothing(form: Form) -> Any:
    """Which questions are asked again on request: rejected ones, and those whose answer says nothing.

    Args:
        form: Of the questions.
    """
    return lambda outcome: (
        outcome.what == "rejected" or (outcome.what == "answer" and not reading_of(outcome, form).named)
    )


def _use_logprobs(readings: Sequence[Meaning], raws: Sequence[Raw], remarks: list[str]) -> bool:
    """Whether log-probabilities are used; adds a sentence where they are not, or not everywhere."""
    why = Counter(each.beside for each in readings if each.beside)
    usable = sum(each.logprobs is not None for each in readings)
    if why[_ALIKE] or not usable:
        if raws:
            none = all(raw.first is None for raw in raws)
            reason = NO_LOGPROBS if none else _ALIKE if why[_ALIKE] else "no answer names a class by its first token"
            remarks.append(f"Log-probabilities are not used: {reason}. The named classes are used instead.")
        return False
    for reason, number in sorted(why.items()):
        remarks.append(f"{number} of {len(readings)} answers have no log-probabilities to use ({reason}): named alone.")
    return True


def check_followed(told_of: Told, schema: bool) -> list[str]:
    """A sentence where a server takes a JSON schema and does not keep to it.

    Args:
        told_of: What the answers say.
        schema: Whether one was sent.
    """
    others = told_of.rules.total() - told_of.rules["as JSON"]
    others += sum(number for why, number in told_of.reasons.items() if why == "it names no class by the rules")
    if not schema or not others:
        return []
    return [
        f"The server took a JSON schema and did not keep to it in {others} answers: these are read as names, or not at "
        f"all."
    ]


def write_answers(folder: Path, ids: Sequence[str], of: Told, kept: Mapping[str, Sequence[Any]]) -> None:
    """Write the file of answers and that of refusals; the latter is removed where there are none.

    Args:
        folder: Where.
        ids: One a row.
        of: What the answers say.
        kept: More columns, by name: one value a row.
    """
    lines = [
        json.dumps({"id": key, **answer, **{name: values[row] for name, values in kept.items()}}, ensure_ascii=False)
        # Rows without ids are known by their content, and those of the same content are one.
        for key, (row, answer) in dict(zip(ids, enumerate(of.answers), strict=True)).items()
        if answer is not None
    ]
    atomic.write_text(folder / ANSWERS, "".join(f"{line}\n" for line in lines))
    if not of.silent:
        (folder / REFUSALS).unlink(missing_ok=True)
        return
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("id", "why", "answer"))
    for row, (why, words) in sorted(of.silent.items()):
        writer.writerow((ids[row], why, visible(words)))
    atomic.write_text(folder / REFUSALS, buffer.getvalue())


def summary_of(asked: AskedJob, of: Told, form: Form, *, licence: str, prompt: str, digest: str) -> dict[str, Any]:
    """What is to be known of a job, as plain data.

    Args:
        asked: What it has come to.
        of: What the answers say.
        form: Of the questions.
        licence: The licence under which the answers may be used, as the user says; empty if not stated.
        prompt: The file of the prompt.
        digest: The hash of its content.
    """
    used, options = asked.used, form.options
    return {
        "url": options.address,
        "model": options.model,
        "versions": dict(sorted(asked.versions.items())),
        "licence": licence,
        "prompt": {"file": prompt, "sha256": digest},
        "classes": list(form.class_names),
        "answer": options.answer,
        "num_rows": len(of.answers),
        "num_answered": of.num_answered,
        "num_unanswered": len(of.silent),
        "num_left": asked.num_left,
        "read": dict(sorted(of.rules.items())),
        "unanswered": dict(sorted(of.reasons.items())),
        "requests": used.calls,
        "requests_now": asked.used_now.calls,
        "prompt_tokens": round(used.prompt_tokens),
        "answer_tokens": round(used.answer_tokens),
        "requests_with_estimated_tokens": used.estimated_calls,
        "cost": options.cost(used.prompt_tokens, used.answer_tokens),
        "cost_now": options.cost(asked.used_now.prompt_tokens, asked.used_now.answer_tokens),
        "seconds_now": round(asked.seconds, 3),
        "stopped": asked.stopped,
        "remarks": [*asked.remarks, *of.remarks],
    }
