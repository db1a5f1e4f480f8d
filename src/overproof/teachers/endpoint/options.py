"""How a language model at an address is asked: the options of the teacher `endpoint`."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import pydantic

from overproof.errors import InputError, nearest_word, suggest, visible
from overproof.options import Count, NotNegative, Positive

ENDPOINT = "endpoint"
"""Its name in `teacher.model`."""

LICENCE_NOT_STATED = "not stated"
"""What is written where the user names no licence."""

_OURS = ("model", "messages", "stream", "n", "response_format", "logprobs", "top_logprobs", "temperature")


class EndpointOptions(pydantic.BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """How a language model is asked for a class.

    Args:
        url: The server's address, such as `https://api.openai.com/v1`; `/chat/completions` is added where it is
            missing.
        model: The model's name there.
        prompt: A file with the question, in which `{text}` (or another column of the data, in braces) and `{classes}`
            are replaced; `{{` is a brace.
        key_env: The environment variable that holds the server's key; without one no key is sent.
        answer: The model names one `class`, or the `set` of all classes that may hold.
        constrain: `schema` has the server admit nothing but the classes, by a JSON schema; `no` leaves it to the
            prompt; `auto` tries the schema once, and goes on without it where the server refuses it.
        logprobs: Use the log-probabilities of the first token, where the server returns them and the first tokens
            of the classes differ. The answer is not constrained then.
        temperature: 0 takes the likeliest token; null leaves it to the server.
        max_answer_tokens: The longest answer in tokens; null is enough for the names of the classes.
        parameters: More members of the request, such as `{seed: 1}` or `{reasoning_effort: low}`.
        concurrency: How many requests are under way at once.
        timeout_seconds: How long a request may take.
        retries: How often a request is repeated that failed for a reason that may pass.
        first_wait_seconds: The wait before the first repetition; it doubles each time, and up to half of it is left out
            at random.
        longest_wait_seconds: The longest wait, also where the server asks for one (`Retry-After`); if it asks for more,
            the request has failed.
        max_requests_per_minute: No more requests are begun in a minute.
        max_calls: No more requests are sent, those of earlier commands counted.
        max_tokens: No more tokens are used, prompts and answers, those of earlier commands counted.
        max_cost: No more is spent, what earlier commands spent counted, in the currency of the prices.
        price_in: Price of a million tokens of prompts.
        price_out: Price of a million tokens of answers.
    """

    url: str
    model: Annotated[str, pydantic.Field(min_length=1)]
    prompt: Annotated[str, pydantic.Field(min_length=1)]
    key_env: str = ""
    answer: Literal["class", "set"] = "class"
    constrain: Literal["auto", "schema", "no"] = "auto"
    logprobs: bool = False
    temperature: NotNegative | None = 0.0
    max_answer_tokens: Count | None = None
    parameters: Mapping[str, Any] = pydantic.Field({})
    concurrency: Annotated[int, pydantic.Field(ge=1, le=256)] = 8
    timeout_seconds: Positive = 60.0
    retries: Annotated[int, pydantic.Field(ge=0, le=20)] = 5
    first_wait_seconds: Positive = 1.0
    longest_wait_seconds: Positive = 300.0
    max_requests_per_minute: Positive | None = None
    max_calls: Count | None = None
    max_tokens: Count | None = None
    max_cost: Positive | None = None
    price_in: NotNegative | None = None
    price_out: NotNegative | None = None

    @pydantic.field_validator("url")
    @classmethod
    def _safe(cls, url: str) -> str:
        return checked_url(url)

    @pydantic.field_validator("key_env")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        # What is no such name may be the key itself, and is not shown.
        if name and not re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", name):
            raise InputError(
                "Option 'key_env' holds the name of an environment variable, in capital letters, such as "
                "OPENAI_API_KEY, and what was given is none (it is not shown, in case it is the key)."
            )
        return name

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> "EndpointOptions":
        if (self.price_in is None) != (self.price_out is None):
            raise InputError("Options 'price_in' and 'price_out' go together; one of them is missing.")
        if self.max_cost is not None and self.price_in is None:
            raise InputError(
                "Option 'max_cost' needs prices: write 'price_in' and 'price_out', for a million tokens each."
            )
        if self.logprobs and self.answer == "set":
            raise InputError("Option 'logprobs' is about one class, and 'answer' is 'set': leave one of them out.")
        if self.logprobs and self.constrain == "schema":
            raise InputError(
                "Option 'logprobs' reads the first token of the answer, which a JSON schema makes a brace: leave "
                "'constrain: schema' out."
            )
        if taken := [name for name in self.parameters if name in _OURS]:
            raise InputError(
                f"Option 'parameters' sets {taken[0]!r}, which is made from the other options; leave it out."
            )
        return self

    @property
    def address(self) -> str:
        """Where requests are sent.

        Example:
            >>> EndpointOptions(url="http://localhost:8000", model="m", prompt="p.txt").address
            'http://localhost:8000/v1/chat/completions'
        """
        parts = urlsplit(self.url)
        path = parts.path.rstrip("/") or "/v1"
        path = path if path.endswith("/chat/completions") else f"{path}/chat/completions"
        return parts._replace(path=path).geturl()

    def cost(self, prompt_tokens: float, answer_tokens: float) -> float | None:
        """What some tokens cost; None without prices.

        Args:
            prompt_tokens: Of prompts.
            answer_tokens: Of answers.
        """
        if self.price_in is None or self.price_out is None:
            return None
        return (prompt_tokens * self.price_in + answer_tokens * self.price_out) / 1e6


def endpoint_options(options: Mapping[str, Any]) -> EndpointOptions:
    """The options of a model at an address, checked; no error repeats an address or a key.

    Args:
        options: As given in `teacher.options`.

    Example:
        >>> endpoint_options({"url": "http://localhost:8000", "prompt": "p.txt", "modle": "m"})
        Traceback (most recent call last):
        overproof.errors.InputError: Option 'teacher.options.modle' does not exist for 'endpoint'; did you mean 'model'?

    Raises:
        InputError: One is missing, does not exist, or has a value that it cannot have.
    """
    fields = EndpointOptions.model_fields
    for name in options:
        if name not in fields:
            raise InputError(
                f"Option 'teacher.options.{name}' does not exist for 'endpoint'; {suggest(name, fields)}"
                + ("?" if nearest_word(name, fields) else ".")
            )
    for name, field in fields.items():
        if field.is_required() and options.get(name) in (None, ""):
            raise InputError(
                f"Option 'teacher.options.{name}' is missing: the teacher 'endpoint' needs url, model and prompt."
            )
    try:
        return EndpointOptions.model_validate(dict(options))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, InputError):
            raise cause from None
        where = ".".join(["teacher.options", *map(str, first["loc"])])
        shown = "" if set(first["loc"]) & {"url", "key_env", "parameters"} else f" is {first['input']!r}"
        raise InputError(f"Option {where!r}{shown}: {first['msg'].lower()}.") from None


def checked_url(url: str) -> str:
    """An address to which texts may be sent, as it was given.

    Args:
        url: `http` or `https`, with a host; without a name, a password or a key in it.

    Example:
        >>> checked_url("https://me:secret@example.org/v1")
        Traceback (most recent call last):
        overproof.errors.InputError: Option 'url' has a name or a password in it, which would be stored; name the \
environment variable with the key in 'key_env'.

    Raises:
        InputError: It is another.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise InputError("Option 'url' is no address; write one such as https://api.openai.com/v1.") from None
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise InputError(
            "Option 'url' has a name or a password in it, which would be stored; name the environment variable with "
            "the key in 'key_env'."
        )
    if parts.query and not re.fullmatch(r"api-version=[\w.-]+", parts.query):
        raise InputError(
            "Option 'url' has a part after '?', where a key may be, which would be stored; only api-version=… may "
            "stand there. The key belongs into an environment variable, named in 'key_env'."
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or parts.fragment:
        raise InputError(
            f"Option 'url' is {visible(url)!r}; it must be an address of http or https with a host, such as "
            f"https://api.openai.com/v1."
        )
    return url.strip()
