"""The body of a request, and what a server was found not to understand of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from overproof.errors import InputError
from overproof.teachers.endpoint.ledger import key_of
from overproof.teachers.endpoint.options import EndpointOptions

_TOP = 20
"""Log-probabilities of so many first tokens are asked for, the most that servers allow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """What a server understands.

    Args:
        schema: A JSON schema for the answer.
        logprobs: The log-probabilities of tokens.
        temperature: A temperature.
        completion_tokens: The longest answer is called `max_completion_tokens`, and not `max_tokens`.
    """

    schema: bool
    logprobs: bool
    temperature: bool
    completion_tokens: bool = False

    @classmethod
    def first(cls, options: EndpointOptions) -> "Dialect":
        """What is tried first."""
        return cls(
            schema=options.constrain != "no" and not options.logprobs,
            logprobs=options.logprobs,
            temperature=options.temperature is not None,
        )

    def without(self, said: str, options: EndpointOptions) -> "Dialect | None":
        """What to try next, after a server has refused a request; None where nothing is left to leave out.

        Args:
            said: The server's words.
            options: What the user asks for: a schema that is wanted is not left out.
        """
        words = said.casefold()
        may_drop_schema = self.schema and options.constrain == "auto"
        if "max_completion_tokens" in words and not self.completion_tokens:
            return replace(self, completion_tokens=True)
        if self.temperature and "temperature" in words:
            return replace(self, temperature=False)
        if self.logprobs and "logprobs" in words:
            return replace(self, logprobs=False)
        if may_drop_schema:
            return replace(self, schema=False)
        return replace(self, logprobs=False) if self.logprobs else None

    def given_up(self, options: EndpointOptions) -> list[str]:
        """Sentences about what is left out."""
        first, found = Dialect.first(options), []
        if first.schema and not self.schema:
            found.append("The server refuses a JSON schema; answers are read from the model's own words.")
        if first.logprobs and not self.logprobs:
            found.append("The server refuses log-probabilities; the named classes are used.")
        if first.temperature and not self.temperature:
            found.append(f"The server refuses the temperature {options.temperature:g}; its own is used.")
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What is the same in all requests of a job.

    Args:
        options: Of the model.
        class_names: K names.
    """

    options: EndpointOptions
    class_names: tuple[str, ...]

    @property
    def answer_tokens(self) -> int:
        """The most tokens that an answer may have: enough for the names, each byte a token, and for JSON."""
        if self.options.max_answer_tokens is not None:
            return self.options.max_answer_tokens
        lengths = [len(name.encode("utf-8", "surrogatepass")) + 4 for name in self.class_names]
        return 32 + (sum(lengths) if self.options.answer == "set" else max(lengths))

    def body(self, prompt: str, dialect: Dialect) -> dict[str, Any]:
        """One request.

        Args:
            prompt: The question.
            dialect: What the server understands.
        """
        options = self.options
        body: dict[str, Any] = {
            **options.parameters,
            "model": options.model,
            "messages": [{"role": "user", "content": prompt}],
        }
        if not {"max_tokens", "max_completion_tokens"} & set(options.parameters):
            body["max_completion_tokens" if dialect.completion_tokens else "max_tokens"] = self.answer_tokens
        if dialect.temperature:
            body["temperature"] = options.temperature
        if dialect.schema:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": self._schema()},
            }
        if dialect.logprobs:
            body |= {"logprobs": True, "top_logprobs": _TOP}
        return body

    def key(self, prompt: str, dialect: Dialect) -> str:
        """The SHA-256 of everything that can change the answer: address, model, question, parameters.

        Args:
            prompt: The question.
            dialect: What the server understands.
        """
        return key_of({"url": self.options.address, "request": self.body(prompt, dialect)})

    def dialect_key(self) -> str:
        """The key under which the server's dialect is noted: that of a request without a question."""
        return key_of({"url": self.options.address, "dialect": self.body("", Dialect.first(self.options))})

    def _schema(self) -> Mapping[str, Any]:
        names: dict[str, Any] = {"type": "string", "enum": list(self.class_names)}
        word, value = (
            ("labels", {"type": "array", "items": names}) if self.options.answer == "set" else ("label", names)
        )
        return {"type": "object", "properties": {word: value}, "required": [word], "additionalProperties": False}


def noted(dialect: Dialect) -> dict[str, bool]:
    """A dialect as plain data."""
    return asdict(dialect)


def dialect_of(content: Mapping[str, Any]) -> Dialect:
    """A dialect from plain data, as `noted` makes it.

    Args:
        content: Of a line of the ledger.
    """
    return Dialect(**{name: bool(value) for name, value in content.items() if name in Dialect.__dataclass_fields__})


def check_classes_of(class_names: Sequence[str]) -> None:
    """Class names that a model can be asked for.

    Args:
        class_names: K names.

    Raises:
        InputError: There are fewer than two, one is empty or occurs twice.
    """
    names = [name.strip() for name in class_names]
    if len(names) < 2 or not all(names) or len(set(names)) < len(names):
        raise InputError(
            f"The classes are {', '.join(map(repr, class_names)) or 'none'}; two names at least are needed, "
            f"none empty and none twice."
        )
