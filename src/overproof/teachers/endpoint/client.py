"""One request to the server: the answer, or why there is none and whether that may pass.

Nothing but the one address is contacted: redirects are not followed, and proxies and passwords that the environment
names are not used. The key is in the header of a request, and is taken out of everything that comes back.
"""

import asyncio
import importlib.util
import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from overproof.errors import InputError, visible
from overproof.teachers.endpoint.options import EndpointOptions

MAX_BODY_BYTES = 8_000_000
"""A longer response is no answer."""

_LATER = (408, 409, 425, 429)
_NEVER = (401, 402, 403, 404, 405, 407)

Kind = Literal["later", "rejected", "never"]
"""What a failure means: it may pass; the server does not take this request; it would take none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why there is no answer.

    Args:
        kind: Whether it may pass.
        why: In a few words, without the key.
        status: The status of the response; None where there was none.
        wait_seconds: How long the server asks to wait.
        unknown_use: Whether the server may have computed an answer nevertheless.
        unreached: Whether there was no connection.
    """

    kind: Kind
    why: str
    status: int | None = None
    wait_seconds: float | None = None
    unknown_use: bool = False
    unreached: bool = False


def need_client() -> None:
    """Check that the packages of the extra `llm` are installed.

    Raises:
        InputError: One is missing.
    """
    if importlib.util.find_spec("httpx2") is None:
        raise InputError(
            "Asking a language model needs the package httpx2; install it with: pip install 'overproof[llm]'."
        )


def key_in(environment: Mapping[str, str], name: str) -> str:
    """The server's key.

    Args:
        environment: Such as `os.environ`.
        name: Of the variable; empty for a server without a key.

    Raises:
        InputError: There is no such variable, or it holds no key.
    """
    if not name:
        return ""
    key = environment.get(name, "").strip()
    if not key:
        raise InputError(
            f"Option 'key_env' names the environment variable {name}, which is not set: export {name}=… first."
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InputError(f"The environment variable {name} holds no key: it has blanks or other than ASCII characters.")
    return key


class Client:
    """Sends requests to one address.

    Args:
        options: Address and time-out.
        key: The server's key; empty for none.
    """

    def __init__(self, options: EndpointOptions, key: str) -> None:
        need_client()
        import httpx2

        self._options, self._key = options, key
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._client = httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(options.timeout_seconds),
            follow_redirects=False,
            trust_env=False,
            # Certificates are loaded where they are needed alone, which takes a while.
            verify=True if options.address.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            limits=httpx2.Limits(max_connections=options.concurrency, max_keepalive_connections=options.concurrency),
        )

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *problem: object) -> None:
        await self._client.aclose()

    async def send(self, body: Mapping[str, Any]) -> dict[str, Any] | Failure:
        """The server's response to one request, or why there is none.

        Args:
            body: The request, which becomes JSON.
        """
        import httpx2

        content = json.dumps(body, ensure_ascii=True).encode()
        try:
            async with asyncio.timeout(self._options.timeout_seconds):
                async with self._client.stream("POST", self._options.address, content=content) as response:
                    received = bytearray()
                    async for piece in response.aiter_bytes():
                        received += piece
                        if len(received) > MAX_BODY_BYTES:
                            return Failure(
                                kind="later",
                                why=f"a response of more than {MAX_BODY_BYTES:,} bytes",
                                status=response.status_code,
                                unknown_use=True,
                            )
        except (TimeoutError, httpx2.TimeoutException):
            return Failure(
                kind="later", why=f"no answer within {self._options.timeout_seconds:g} seconds", unknown_use=True
            )
        except httpx2.HTTPError as error:
            began = not isinstance(error, httpx2.ConnectError | httpx2.UnsupportedProtocol)
            said = self.clean(" ".join(str(error).split())[:200])
            return Failure(
                kind="later",
                why=("the connection was cut" if began else "no connection") + (f" ({said})" if said else ""),
                unknown_use=began,
                unreached=not began,
            )
        return self._understood(response.status_code, response.headers, bytes(received))

    def clean(self, content: Any) -> Any:
        """What came back without the key, should the server have repeated it."""
        if not self._key:
            return content
        if isinstance(content, str):
            return content.replace(self._key, "[key]")
        if isinstance(content, dict):
            return {self.clean(name): self.clean(value) for name, value in content.items()}
        return [self.clean(each) for each in content] if isinstance(content, list) else content

    def _understood(self, status: int, headers: Mapping[str, str], received: bytes) -> dict[str, Any] | Failure:
        if 300 <= status < 400:
            return Failure(kind="never", status=status, why=self._elsewhere(headers.get("location", "")))
        try:
            body = json.loads(received)
        except (ValueError, RecursionError):
            body = None
        if status == 200:
            if (why := _no_answer(body)) is None:
                found: dict[str, Any] = self.clean(body)
                return found
            return Failure(kind="later", why=why, status=status, unknown_use=True)
        said = self.clean(_said(body, received))
        why = f"status {status}" + (f" ({said})" if said else "")
        kind: Kind = "later" if status in _LATER or status >= 500 or status < 200 else "rejected"
        if status in _NEVER or (status == 429 and "insufficient_quota" in str(body)):
            kind = "never"
        return Failure(kind=kind, why=why, status=status, wait_seconds=waited(headers.get("retry-after", "")))

    def _elsewhere(self, location: str) -> str:
        parts = urlsplit(location)
        try:
            where = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        except ValueError:
            where = ""
        shown = self.clean(visible(where)[:200])
        return f"it leads to {shown or 'another address'!r}, and no other address than the one that you name is asked"


def waited(header: str, now: float | None = None) -> float | None:
    """The seconds that a `Retry-After` asks for: a number, or a date.

    Args:
        header: Its value; empty for none.
        now: Seconds since 1970; by default the time it is.

    Example:
        >>> waited("2.5"), waited("Thu, 01 Jan 1970 00:01:00 GMT", now=30.0), waited("soon")
        (2.5, 30.0, None)
    """
    import time

    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - (time.time() if now is None else now)
        except (ValueError, TypeError, OverflowError):
            return None
    return max(seconds, 0.0) if seconds == seconds and seconds != float("inf") else None


def _no_answer(body: Any) -> str | None:
    """Why a response is no chat completion; None where it is one."""
    if not isinstance(body, dict):
        return "a response that is no JSON object"
    choices = body.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        return "a response without one choice"
    message = choices[0].get("message")
    if not isinstance(message, dict) or not isinstance(message.get("content"), str | None):
        return "a response without a message"
    return None


def _said(body: Any, received: bytes) -> str:
    """What a server says of an error."""
    error = body.get("error", body.get("detail", body.get("message"))) if isinstance(body, dict) else None
    if isinstance(error, dict):
        error = error.get("message") or error.get("code") or error
    text = (
        error if isinstance(error, str) else json.dumps(error) if error else received[:300].decode("utf-8", "replace")
    )
    return visible(" ".join(text.split()))[:300]


def environment_key(options: EndpointOptions) -> str:
    """The key that the options name, from the environment.

    Args:
        options: Those of a model.

    Raises:
        InputError: There is no such variable, or it holds no key.
    """
    return key_in(os.environ, options.key_env)
