"""The content of a ledger by question: its answer, or why there is none; and what all requests have used."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from overproof.teachers.endpoint.pace import Used
from overproof.teachers.endpoint.reading import Raw, raw_of
from overproof.teachers.endpoint.request import Dialect, Form, dialect_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a question.

    Args:
        what: An `answer`; the server has `rejected` the question; a `failure`, which may pass.
        raw: The answer.
        why: Why there is none.
    """

    what: Literal["answer", "rejected", "failure"]
    raw: Raw | None = None
    why: str = ""


@dataclass(kw_only=True, slots=True)
class Book:
    """The content of a ledger.

    Args:
        outcomes: By key; of several the last.
        dialects: By key.
        used: What all requests have used.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    dialects: dict[str, Dialect] = field(default_factory=dict)
    used: Used = field(default_factory=Used)

    @classmethod
    def of(cls, lines: Iterator[Mapping[str, Any]]) -> "Book":
        """Read it.

        Args:
            lines: Of the ledger, in order.
        """
        book = cls()
        for line in lines:
            if line["outcome"] == "dialect":
                book.dialects[line["key"]] = dialect_of(line["dialect"])
                continue
            calls, prompt_tokens, answer_tokens, estimated_calls = line["used"]
            book.used.add(calls, float(prompt_tokens), float(answer_tokens), estimated_calls)
            if line["outcome"] == "kept":
                continue
            raw = raw_of(line["body"]) if line["outcome"] == "answer" else None
            book.outcomes[line["key"]] = Outcome(what=line["outcome"], raw=raw, why=line.get("why", ""))
        return book

    def of_questions(self, prompts: Sequence[str], form: Form) -> list[Outcome | None]:
        """The outcomes of some questions, None where one was not asked.

        Args:
            prompts: The questions.
            form: What is the same in all of them.
        """
        dialect = self.dialects.get(form.dialect_key())
        if dialect is None:
            return [None] * len(prompts)
        known = {prompt: self.outcomes.get(form.key(prompt, dialect)) for prompt in dict.fromkeys(prompts)}
        return [known[prompt] for prompt in prompts]
