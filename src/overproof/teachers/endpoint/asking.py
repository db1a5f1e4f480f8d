"""Asks a model all questions of a job, each once: what the ledger holds is not asked again.

So many workers take questions from one list, each with one request under way: no more are made than can be sent. An
answer counts when its line is on disk.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from overproof.errors import InputError
from overproof.progress import Advance, Progress
from overproof.storage.one_writer import writing
from overproof.teachers.endpoint.book import Book, Outcome
from overproof.teachers.endpoint.client import Client, Failure
from overproof.teachers.endpoint.ledger import Ledger
from overproof.teachers.endpoint.pace import Budget, Pace, Used, estimated_tokens, num_bytes, wait_before
from overproof.teachers.endpoint.reading import raw_of
from overproof.teachers.endpoint.request import Dialect, Form, noted

Result = TypeVar("Result")

_TRIED_FIRST = 3
"""A job ends if the server takes none of so many questions."""


@dataclass(kw_only=True, slots=True)
class AskedJob:
    """What a job has come to.

    Args:
        outcomes: One a question, in order; None where it was not asked.
        used: What all requests in the ledger have used.
        used_now: What those of this call have used.
        seconds: How long this call asked.
        stopped: Why not all questions were asked; empty where they were.
        remarks: Sentences about the server.
        cut: Bytes of an unfinished line that were cut off the ledger.
        dialect: What the server understands; None where it is not known.
    """

    outcomes: list[Outcome | None]
    used: Used
    used_now: Used
    seconds: float
    stopped: str
    remarks: list[str]
    cut: int
    dialect: Dialect | None

    @property
    def failures(self) -> Counter[str]:
        """How many questions have failed, by reason."""
        return Counter(each.why for each in self.outcomes if each is not None and each.what == "failure")

    @property
    def num_left(self) -> int:
        """Questions that are to be asked, again or at all."""
        return sum(each is None or each.what == "failure" for each in self.outcomes)

    @property
    def versions(self) -> Counter[str]:
        """What the server called the model, with the number of answers."""
        return Counter(each.raw.model for each in self.outcomes if each is not None and each.raw is not None)


def ask_all(
    prompts: Sequence[str],
    form: Form,
    folder: Path,
    *,
    key: str,
    progress: Progress,
    again: Callable[[Outcome], bool] = lambda outcome: False,
    draw: random.Random | None = None,
) -> AskedJob:
    """Ask all questions that the ledger has no answer to.

    Args:
        prompts: The questions; the same one is asked once.
        form: What is the same in all of them.
        folder: Of the ledger.
        key: The server's key; empty for none.
        progress: Shows how many are answered, the failures and the cost.
        again: Which questions that have an answer, or were rejected, are asked again. Those that failed always are.
        draw: Decides the waits before repetitions.

    Raises:
        InputError: The server takes no request, another process writes there, or the ledger is damaged.
    """
    with writing(folder), Ledger(folder) as ledger:
        book = Book.of(ledger.lines())
        cut = ledger.cut
        before = replace(book.used)
        work = _Work(form=form, ledger=ledger, book=book, draw=draw or random.Random(), key=key)
        known = dict(zip(prompts, book.of_questions(prompts, form), strict=True))
        missing = [
            prompt for prompt, found in known.items() if found is None or found.what == "failure" or again(found)
        ]
        began = time.perf_counter()
        if missing:
            with progress.task("asking", len(known)) as advance:
                work.show(advance, len(known) - len(missing), len(missing))
                _driven(work.all_of(missing))
        used = book.used
        return AskedJob(
            outcomes=book.of_questions(prompts, form),
            used=used,
            used_now=Used(
                calls=used.calls - before.calls,
                prompt_tokens=used.prompt_tokens - before.prompt_tokens,
                answer_tokens=used.answer_tokens - before.answer_tokens,
                estimated_calls=used.estimated_calls - before.estimated_calls,
            ),
            seconds=time.perf_counter() - began,
            stopped=work.stopped,
            remarks=work.remarks(),
            cut=cut,
            dialect=book.dialects.get(form.dialect_key()),
        )


def _driven(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine, also where an event loop runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


class _Work:
    """The requests of one call."""

    def __init__(self, *, form: Form, ledger: Ledger, book: Book, draw: random.Random, key: str) -> None:
        self.form, self.ledger, self.book, self.draw, self.key = form, ledger, book, draw, key
        self.options = form.options
        self.pace = Pace(self.options.max_requests_per_minute)
        self.budget = Budget(self.options, form.answer_tokens, book.used)
        self.stopped = ""
        self._dialect = book.dialects.get(form.dialect_key())
        self._freed = asyncio.Event()
        self._failed_in_a_row = 0
        self._advance: Advance = lambda done, words: None
        self._done, self._failed, self._asked, self._to_ask = 0, 0, 0, 0
        self._began_with = book.used.prompt_tokens, book.used.answer_tokens

    # --- what is shown

    def show(self, advance: Advance, done: int, to_ask: int) -> None:
        """Show progress there."""
        self._advance, self._done, self._to_ask = advance, done, to_ask
        advance(done, "")

    def remarks(self) -> list[str]:
        """Sentences about the server."""
        return [] if self._dialect is None else self._dialect.given_up(self.options)

    def _step(self, outcome: Outcome) -> None:
        self._done += 1
        self._asked += 1
        self._failed += outcome.what == "failure"
        used = self.book.used
        cost = self.options.cost(used.prompt_tokens, used.answer_tokens)
        words = f"{self._failed} failed" if self._failed else ""
        if cost is not None:
            now = self.options.cost(used.prompt_tokens - self._began_with[0], used.answer_tokens - self._began_with[1])
            whole = cost + (now or 0.0) / self._asked * (self._to_ask - self._asked)
            words = f"cost {cost:.4g} of about {whole:.4g}" + (f", {words}" if words else "")
        self._advance(self._done, words)

    # --- asking

    async def all_of(self, missing: Sequence[str]) -> None:
        """Ask all of them."""
        questions = iter(missing)
        async with Client(self.options, self.key) as client:
            if self._dialect is None:
                await self._first_answer(client, questions)
            number = min(self.options.concurrency, len(missing))
            tasks = [asyncio.create_task(self._worker(client, questions)) for _ in range(number)]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _worker(self, client: Client, questions: Iterator[str]) -> None:
        assert self._dialect is not None or self.stopped
        while not self.stopped and (prompt := next(questions, None)) is not None:
            assert self._dialect is not None
            spent = Used()
            try:
                answered = await self._answer(client, prompt, self._dialect, spent)
            except asyncio.CancelledError:
                self._abandon(prompt, self._dialect, spent)
                raise
            if answered is None:
                self._abandon(prompt, self._dialect, spent)
                return
            self._note(prompt, self._dialect, answered, spent)
            if isinstance(answered, Failure):
                self._failed_in_a_row += answered.kind == "later"
                if answered.kind == "never":
                    raise InputError(self._sentence(answered))
                if not self.stopped and self._failed_in_a_row >= max(10, 2 * self.options.concurrency):
                    self.stopped = f"the last {self._failed_in_a_row} requests failed ({answered.why})"
            else:
                self._failed_in_a_row = 0

    async def _first_answer(self, client: Client, questions: Iterator[str]) -> None:
        """Ask until there is an answer, and find out what the server understands."""
        dialect, none = Dialect.first(self.options), list[tuple[str, Failure, Used]]()
        while len(none) < _TRIED_FIRST and (prompt := next(questions, None)) is not None:
            tried, spent = dialect, Used()
            while True:
                answered = await self._answer(client, prompt, tried, spent)
                if answered is None:
                    for each, failure, before in none:
                        self._note(each, tried, failure, before)
                    self._abandon(prompt, tried, spent)
                    return
                if not isinstance(answered, Failure):
                    self._dialect = tried
                    self.ledger.add({"outcome": "dialect", "key": self.form.dialect_key(), "dialect": noted(tried)})
                    self.book.dialects[self.form.dialect_key()] = tried
                    for each, failure, before in none:
                        self._note(each, tried, failure, before)
                    self._note(prompt, tried, answered, spent)
                    return
                nearer = tried.without(answered.why, self.options) if answered.kind == "rejected" else None
                if nearer is None:
                    break
                tried = nearer
            none.append((prompt, answered, spent))
            if answered.kind == "never" or answered.unreached:
                break
        for each, failure, before in none:
            self._note(each, dialect, failure, before)
        raise InputError(self._sentence(none[-1][1]))

    async def _answer(
        self, client: Client, prompt: str, dialect: Dialect, spent: Used
    ) -> dict[str, Any] | Failure | None:
        """The response to one question, after repetitions; None where a cap is reached. `spent` gets what they used."""
        for attempt in range(1, self.options.retries + 2):
            begun = await self._begin(prompt)
            if begun is None:
                return None
            now = Used(calls=1)
            try:
                await self.pace.wait()
                answered = await client.send(self.form.body(prompt, dialect))
                now = self._spent(prompt, answered)
            finally:
                self.budget.end(begun, now)
                spent.add(now.calls, now.prompt_tokens, now.answer_tokens, now.estimated_calls)
                self._freed.set()
            if not isinstance(answered, Failure) or answered.kind != "later":
                return answered
            seconds = wait_before(attempt, self.options, answered.wait_seconds, self.draw)
            # A server that nobody has reached yet is perhaps not running.
            asleep = answered.unreached and self._dialect is None
            if attempt > self.options.retries or seconds is None or self.stopped or asleep:
                if seconds is None:
                    asks = f"{answered.why}; the server asks to wait {answered.wait_seconds:.0f} seconds"
                    answered = Failure(kind="later", why=asks, status=answered.status)
                break
            if answered.wait_seconds is not None:
                self.pace.pause(answered.wait_seconds)
            await asyncio.sleep(seconds)
        return answered

    def _abandon(self, prompt: str, dialect: Dialect, spent: Used) -> None:
        """Write what the attempts at a question have used that is not answered: caps hold for later commands too."""
        if spent.calls:
            self._note(prompt, dialect, Failure(kind="later", why="the command ended before it was answered"), spent)

    async def _begin(self, prompt: str) -> float | None:
        """Room within the caps; None where there will be none."""
        while not self.stopped:
            begun = self.budget.begin(num_bytes(prompt))
            if not isinstance(begun, str):
                return begun
            if not self.budget.busy:
                self.stopped = f"{begun} is reached"
                break
            # What is under way is counted with the most that it may use: there may be room afterwards.
            self._freed.clear()
            await self._freed.wait()
        return None

    def _spent(self, prompt: str, answered: dict[str, Any] | Failure) -> Used:
        if isinstance(answered, Failure):
            if not answered.unknown_use:
                return Used(calls=1)
            return Used(
                calls=1,
                prompt_tokens=estimated_tokens(prompt),
                answer_tokens=float(self.form.answer_tokens),
                estimated_calls=1,
            )
        usage = answered.get("usage")
        given = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")] if isinstance(usage, dict) else []
        counts = [each for each in given if isinstance(each, int) and each >= 0]
        if len(counts) == 2:
            self.budget.saw(num_bytes(prompt), float(counts[0]))
            return Used(calls=1, prompt_tokens=float(counts[0]), answer_tokens=float(counts[1]))
        text = raw_of(answered).text or ""
        return Used(
            calls=1,
            prompt_tokens=estimated_tokens(prompt),
            answer_tokens=estimated_tokens(text),
            estimated_calls=1,
        )

    def _note(self, prompt: str, dialect: Dialect, answered: dict[str, Any] | Failure, spent: Used) -> None:
        """Write what became of a question; it counts from then on."""
        used = [spent.calls, spent.prompt_tokens, spent.answer_tokens, spent.estimated_calls]
        key = self.form.key(prompt, dialect)
        if isinstance(answered, Failure):
            what: Literal["rejected", "failure"] = "rejected" if answered.kind == "rejected" else "failure"
            outcome = Outcome(what=what, why=answered.why)
            # A question that was answered before keeps its answer.
            keeps = (before := self.book.outcomes.get(key)) is not None and before.what == "answer"
            self.ledger.add(
                {
                    "outcome": "kept" if keeps else what,
                    "key": key,
                    "used": used,
                    "status": answered.status,
                    "why": answered.why,
                    "at": _now(),
                }
            )
            if keeps:
                outcome = before  # type: ignore[assignment]
        else:
            outcome = Outcome(what="answer", raw=raw_of(answered))
            self.ledger.add({"outcome": "answer", "key": key, "used": used, "at": _now(), "body": answered})
        self.book.outcomes[key] = outcome
        self._step(outcome)

    def _sentence(self, failure: Failure) -> str:
        options = self.options
        hint = {
            401: f"is the key in {options.key_env} the right one?"
            if options.key_env
            else "the server wants a key: name the environment variable that holds it with 'key_env' (--key-env).",
            404: f"is the model called {options.model!r} there, and is the address right?",
        }.get(failure.status or 0)
        if failure.kind == "later":
            if failure.unreached:
                return f"{options.address} cannot be reached: {failure.why}. Is the server running?"
            times = f" after {options.retries + 1} attempts" if options.retries else ""
            return f"{options.address} gives no answer{times}: {failure.why}. Run the command again later."
        what = "refuses every request" if failure.kind == "never" else "takes none of the first questions"
        return f"{options.address} {what}: {failure.why}" + (f"; {hint}" if hint else ".")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
