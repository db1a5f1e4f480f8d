"""Answer requests over HTTP: an ASGI application whose answers are those of `overproof predict`.

    POST /predict   {"texts": ["…", …]} or {"rows": [{COLUMN: VALUE, …}, …]} gives {"answers": [ANSWER, …], "remarks":
                    ["…", …]}, where an answer has `id`, `label`, `probs` by class, and with a threshold `abstained`
    GET  /health    what is served
    GET  /metrics   counts and times in the text format of Prometheus

Rows are read as `predict` reads a file of JSON lines: they are written to one, in a temporary folder. So every rule on
columns, types and missing values is the same; refusals speak of entries and fields of the request
(`deployment/request_rows.py`). Texts alone need no file. Requests are answered one at a time, in a thread beside the
event loop; the others wait, and if too many do, the next is refused at once (503).
"""

import contextlib
import importlib.util
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import torch

from overproof.data import Source
from overproof.data.columns import whole
from overproof.data.examples import build
from overproof.data.inputs import texts
from overproof.deployment.abstention import Abstention
from overproof.deployment.predict import ABSTAINED, answers_in_memory, answers_to
from overproof.deployment.request_rows import completed, fields_of, half_character, in_words, refusal
from overproof.errors import InputError
from overproof.models import Student, TableEncoder
from overproof.models.saved.data_columns import DataColumns

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TEXTS, _ROWS = "texts", "rows"
_PATHS = ("/predict", "/health", "/metrics")
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Bounds of the histogram of times."""


def need_server() -> None:
    """Check that the packages of the extra `serve` are installed.

    Raises:
        InputError: One is missing.
    """
    for package in ("starlette", "uvicorn", "prometheus_client"):
        if importlib.util.find_spec(package) is None:
            raise InputError(f"serve needs the package {package}; install it with: pip install 'overproof[serve]'.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one request may hold.

    Args:
        rows: Most texts or rows.
        num_bytes: Most bytes of its body.
        waiting: Most requests that are answered or wait for it at a time.
    """

    rows: int = 1024
    num_bytes: int = 4 * 2**20
    waiting: int = 256

    def __post_init__(self) -> None:
        for name, value in (("max-rows", self.rows), ("max-bytes", self.num_bytes), ("max-waiting", self.waiting)):
            if value < 1:
                raise InputError(f"--{name} is {value}; at least 1 is allowed.")


class Refused(Exception):
    """A request that is not answered.

    Args:
        code: The status, 400 to 499 or 503.
        sentence: Why, and what is allowed.
    """

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.sentence = code, sentence


@dataclass(frozen=True, kw_only=True, slots=True)
class Answerer:
    """Answers rows as `overproof.deployment.predict.predict` answers a file of JSON lines with them.

    Args:
        student: It reads texts or a table.
        columns: Of the data that it was trained on.
        abstention: Its threshold; None answers every row.
        limits: Of one request.
    """

    student: Student
    columns: DataColumns = field(default_factory=DataColumns)
    abstention: Abstention | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.student.kind == "image":
            raise InputError(
                "serve is for students that read texts or tables; this one reads images, which `overproof predict` "
                "reads from files."
            )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns of a text; `text` where the training data do not name any. Of a table none are named."""
        if self.student.kind == "table":
            return ()
        known = self.columns.input or "text"
        return (known,) if isinstance(known, str) else known

    @property
    def missing(self) -> Literal["allow", "refuse"]:
        """Whether inputs may be missing: where they could in the training data."""
        encoder = self.student.encoder
        gaps = self.columns.gaps or (isinstance(encoder, TableEncoder) and encoder.had_gaps)
        return "allow" if gaps else "refuse"

    def rows(self, body: bytes) -> list[dict[str, Any]] | list[str]:
        """The rows of a request, or its texts.

        Raises:
            Refused: It holds something else, or too many.
        """
        kinds = f'{{"{_ROWS}": [{{COLUMN: VALUE}}, …]}}'
        if self.student.kind == "text":
            kinds = f'{{"{_TEXTS}": ["…", …]}} or {kinds}'
        try:
            content = json.loads(body, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise Refused(
                400, f"The body is not JSON in UTF-8 ({str(error).rstrip('.')}); {kinds} is allowed."
            ) from None
        if not isinstance(content, dict) or len(content) != 1 or not {_TEXTS, _ROWS} >= set(content):
            raise Refused(400, f"The body is not {kinds}.")
        ((name, found),) = content.items()
        if name == _TEXTS and self.student.kind != "text":
            raise Refused(400, f"This student reads columns and no texts; {kinds} is allowed.")
        wanted: type = str if name == _TEXTS else dict
        if not isinstance(found, list) or not found:
            raise Refused(400, f"{name!r} is not a list with at least one entry; {kinds} is allowed.")
        if len(found) > self.limits.rows:
            raise Refused(
                413, f"{name!r} has {len(found)} entries; at most {self.limits.rows} are allowed in one request."
            )
        for place, each in enumerate(found):
            if not isinstance(each, wanted):
                what = "a text" if wanted is str else "an object with a value for each column"
                raise Refused(400, f"Entry {place} of {name!r} (counting from 0) is not {what}.")
        return found

    def answer(self, rows: Sequence[Mapping[str, Any]] | Sequence[str]) -> tuple[pa.Table, tuple[str, ...]]:
        """The table that `predict` writes for these rows, and its remarks.

        Args:
            rows: Values by column, or texts.

        Raises:
            InputError: The rows do not fit the student; the message speaks of entries and fields.
        """
        if isinstance(rows[0], str):
            return self._answer_texts(pa.array(map(self._text, range(len(rows)), rows), pa.large_string())), ()
        known, fields = self.columns.id, fields_of(self.student, self.inputs, gaps=self.missing == "allow")
        read = completed([each for each in rows if not isinstance(each, str)], fields, known)
        with tempfile.TemporaryDirectory(prefix="overproof-serve-") as folder:
            file = Path(folder, "request.jsonl")
            file.write_text("".join(f"{json.dumps(row)}\n" for row in read), encoding="utf-8")
            source = Source(
                path=str(file),
                kind=self.student.kind,
                input=self.inputs or None,
                id=known if any(known in row for row in read) else None,
                missing=self.missing,
                categories=tuple(each.name for each in fields if not self.inputs and each.is_text_in(read)),
            )
            try:
                table, remarks = answers_in_memory(self.student, source, abstention=self.abstention, new_gaps=False)
            except InputError as error:
                raise refusal(error, read, fields, known, file.name) from None
        return table, tuple(map(in_words, remarks))

    def _text(self, place: int, text: Any) -> str:
        if half := half_character(text):
            raise InputError(
                f"Entry {place} of {_TEXTS!r} (counting from 0) holds {half}, half of a pair of surrogates, which is "
                f"no character; write both halves."
            )
        if self.missing == "refuse" and not text.strip():
            raise InputError(f"Entry {place} of {_TEXTS!r} (counting from 0) is blank; every entry needs a text.")
        found: str = text
        return found

    def _answer_texts(self, words: pa.Array) -> pa.Table:
        frame = whole("the request", pa.table({_TEXTS: words}))
        _, words = texts(frame, [_TEXTS], self.missing)
        label = torch.full((len(words),), -1)
        examples = build(inputs=words, label=label, class_names=(), keys=None, origin=frame.name)
        return answers_to(self.student, examples, abstention=self.abstention)

    def about(self) -> dict[str, Any]:
        """What `/health` answers: the student, what it reads and what it answers."""
        fields = fields_of(self.student, self.inputs, gaps=self.missing == "allow")
        return {
            "status": "ok",
            "student": self.student.spec.name,
            "reads": self.student.kind,
            "columns": [each.name for each in fields],
            "class_names": list(self.student.class_names),
            "threshold": None if self.abstention is None else self.abstention.threshold,
            "max_rows": self.limits.rows,
            "max_bytes": self.limits.num_bytes,
            "max_waiting": self.limits.waiting,
        }


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for place, (name, _) in enumerate(pairs) if name in dict(pairs[:place]))
        raise ValueError(f"an object has the key {twice!r} twice")
    return found


def as_json(table: pa.Table, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a table of predictions for JSON.

    Args:
        table: As `predict` writes it.
        class_names: Of its last columns, in order.
    """
    columns = [column.to_pylist() for column in table.columns]
    front, probs = columns[: -len(class_names)], columns[-len(class_names) :]
    names = ["id", "label", ABSTAINED][: len(front)]
    return [
        {**dict(zip(names, about, strict=True)), "probs": dict(zip(class_names, row, strict=True))}
        for about, row in zip(zip(*front, strict=True), zip(*probs, strict=True), strict=True)
    ]


def asgi_app(answerer: Answerer) -> "ASGIApp":
    """The application, for any ASGI server.

    Args:
        answerer: What it serves.

    Raises:
        InputError: The packages of the extra `serve` are missing.
    """
    need_server()
    import anyio.to_thread
    from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    registry = CollectorRegistry()
    requests = Counter("overproof_requests", "Requests, by path and status.", ["path", "code"], registry=registry)
    errors = Counter("overproof_errors", "Requests with a status of 400 or more.", registry=registry)
    rows_read = Counter("overproof_rows", "Rows with an answer.", registry=registry)
    abstained = Counter("overproof_abstained", "Rows on which the student abstained.", registry=registry)
    seconds = Histogram(
        "overproof_predict_seconds", "Time of a request to /predict.", buckets=_SECONDS, registry=registry
    )
    one_at_a_time, limits = anyio.CapacityLimiter(1), answerer.limits

    def work(body: bytes) -> bytes:
        table, remarks = answerer.answer(answerer.rows(body))
        rows_read.inc(len(table))
        abstained.inc(table["label"].null_count)
        answers = as_json(table, answerer.student.class_names)
        return json.dumps({"answers": answers, "remarks": remarks}, ensure_ascii=False).encode()

    async def predict(request: Request) -> Response:
        body = await _body(request, limits.num_bytes)
        here = one_at_a_time.borrowed_tokens + one_at_a_time.statistics().tasks_waiting
        if here >= limits.waiting:
            waiting = "1 request is" if here == 1 else f"{here} requests are"
            raise Refused(503, f"{waiting} answered or waiting, and no more may be; ask again in a second.")
        answered = await anyio.to_thread.run_sync(work, body, limiter=one_at_a_time)
        return Response(answered, media_type="application/json")

    async def health(request: Request) -> Response:
        return JSONResponse(answerer.about())

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})

    def refused(request: Request, error: Exception) -> Response:
        if isinstance(error, Refused):
            later = {"retry-after": "1"} if error.code == 503 else None
            return JSONResponse({"error": error.sentence}, error.code, headers=later)
        if isinstance(error, InputError):
            return JSONResponse({"error": str(error)}, 422)
        if isinstance(error, HTTPException):
            sentence = (
                f"{request.method} {request.url.path} is not served; POST /predict, GET /health and GET /metrics are."
            )
            return JSONResponse({"error": sentence}, error.status_code, headers=error.headers)
        return JSONResponse({"error": "The server failed; its log says why."}, 500)

    routes = [
        Route("/predict", predict, methods=["POST"]),
        Route("/health", health),
        Route("/metrics", metrics),
    ]
    handlers: Any = dict.fromkeys((Refused, InputError, HTTPException, Exception), refused)
    inner = Starlette(routes=routes, exception_handlers=handlers)

    async def counted(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            await inner(scope, receive, send)
            return
        began, code = time.perf_counter(), 500

        async def noting(message: "Message") -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            await inner(scope, receive, noting)
        finally:
            path = scope["path"] if scope["path"] in _PATHS else "other"
            requests.labels(path, str(code)).inc()
            errors.inc(int(code >= 400))
            if path == "/predict":
                seconds.observe(time.perf_counter() - began)

    return counted


async def _body(request: "Request", most: int) -> bytes:
    """The body of a request.

    Raises:
        Refused: It is longer than `most` bytes, or ends before its end.
    """
    from starlette.requests import ClientDisconnect

    body = bytearray()
    with contextlib.suppress(ClientDisconnect):
        async for part in request.stream():
            body += part
            if len(body) > most:
                raise Refused(413, f"The body has more than {most} bytes, which are allowed in one request.")
        return bytes(body)
    raise Refused(400, "The request ends before its end.")


def serve(answerer: Answerer, listening: Any) -> None:
    """Answer until SIGINT or SIGTERM; requests that are being answered have five seconds then.

    Args:
        answerer: What is served.
        listening: A socket.

    Raises:
        InputError: The packages of the extra `serve` are missing.
    """
    app = asgi_app(answerer)
    import uvicorn

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        loop="asyncio",
        http="h11",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[listening])
