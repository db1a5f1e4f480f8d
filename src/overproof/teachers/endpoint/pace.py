"""How fast requests are sent, and how much they may use: rate, common pauses, waits before repetitions, caps."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from overproof.teachers.endpoint.options import EndpointOptions

BYTES_A_TOKEN = 4.0
"""Of a text whose tokens nobody has counted; English has about so many."""
_TEMPLATE_TOKENS = 16
"""What a server puts around a prompt, until one was counted."""


class Pace:
    """Lets requests begin: no more than so many a minute, and none while the server has asked for a pause.

    Args:
        per_minute: None for no limit.
        clock: Seconds that pass.
    """

    def __init__(self, per_minute: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._between = 60.0 / per_minute if per_minute else 0.0
        self._clock = clock
        self._next = self._paused_until = clock()

    def seconds_left(self) -> float:
        """Take the next turn, or the seconds until there is one.

        Example:
            >>> pace = Pace(60.0, clock=lambda: 100.0)
            >>> pace.seconds_left(), pace.seconds_left()
            (0.0, 1.0)
        """
        now = self._clock()
        left = max(self._next, self._paused_until) - now
        if left > 0:
            return left
        self._next = now + self._between
        return 0.0

    def pause(self, seconds: float) -> None:
        """Nothing begins for so long.

        Args:
            seconds: As the server asks.
        """
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    async def wait(self) -> None:
        """Wait for the next turn; a pause that begins meanwhile is waited for as well."""
        while (left := self.seconds_left()) > 0:
            await asyncio.sleep(left)


def wait_before(attempt: int, options: EndpointOptions, asked: float | None, draw: random.Random) -> float | None:
    """The seconds before a repetition; None where the server asks for longer than is allowed.

    It doubles with every attempt; up to half is left out at random, so that requests that failed together do not come
    back together.

    Args:
        attempt: How often the request has failed, from 1.
        options: The first and the longest wait.
        asked: What the server asks for.
        draw: Decides what is left out.
    """
    if asked is not None and asked > options.longest_wait_seconds:
        return None
    longest = min(options.first_wait_seconds * 2.0 ** (attempt - 1), options.longest_wait_seconds)
    own = longest * (1 - draw.random() / 2)
    # What the server asks for is the least; those who wait for it come back one after the other.
    return own if asked is None else asked + draw.random() * min(options.first_wait_seconds, longest)


@dataclass(kw_only=True, slots=True)
class Used:
    """What requests have used.

    Args:
        calls: How many were sent.
        prompt_tokens: Tokens of prompts.
        answer_tokens: Tokens of answers.
        estimated_calls: For how many of them the server named no tokens; these are counted from characters.
    """

    calls: int = 0
    prompt_tokens: float = 0.0
    answer_tokens: float = 0.0
    estimated_calls: int = 0

    @property
    def tokens(self) -> float:
        """Of prompts and answers."""
        return self.prompt_tokens + self.answer_tokens

    def add(self, calls: int, prompt_tokens: float, answer_tokens: float, estimated_calls: int) -> None:
        """Count more."""
        self.calls += calls
        self.prompt_tokens += prompt_tokens
        self.answer_tokens += answer_tokens
        self.estimated_calls += estimated_calls


class Budget:
    """Caps in calls, tokens and money, which hold for a ledger as a whole.

    A request may begin if all that is under way and the request itself fit, each counted with the most tokens that it
    may use: its answer as long as is allowed, its prompt by the most tokens a byte seen so far (before any was seen, a
    token each).

    Args:
        options: The caps and the prices.
        answer_tokens: The most of an answer.
        used: What earlier requests have used; it goes on being counted here.
    """

    def __init__(self, options: EndpointOptions, answer_tokens: int, used: Used) -> None:
        self.used = used
        self._options, self._answer_tokens = options, answer_tokens
        self._under_way = Used()
        self._per_byte = 0.0

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._under_way.calls > 0

    def saw(self, num_bytes: int, prompt_tokens: float) -> None:
        """Learn how many tokens a prompt had.

        Args:
            num_bytes: Of the prompt.
            prompt_tokens: As the server counted.
        """
        self._per_byte = max(self._per_byte, prompt_tokens / max(num_bytes, 1))

    def begin(self, num_bytes: int) -> float | str:
        """Count a request as under way: the tokens that its prompt is counted with; or the cap that is in its way.

        Args:
            num_bytes: Of its prompt.
        """
        own = num_bytes * self._per_byte if self._per_byte else float(num_bytes + _TEMPLATE_TOKENS)
        used, busy, options = self.used, self._under_way, self._options
        prompt = used.prompt_tokens + busy.prompt_tokens + own
        answer = used.answer_tokens + busy.answer_tokens + self._answer_tokens
        cost = options.cost(prompt, answer)
        if options.max_calls is not None and used.calls + busy.calls + 1 > options.max_calls:
            return f"max_calls {options.max_calls}"
        if options.max_tokens is not None and prompt + answer > options.max_tokens:
            return f"max_tokens {options.max_tokens}"
        if options.max_cost is not None and cost is not None and cost > options.max_cost:
            return f"max_cost {options.max_cost:g}"
        busy.add(1, own, float(self._answer_tokens), 0)
        return own

    def end(self, begun: float, spent: Used) -> None:
        """Count a request as done.

        Args:
            begun: What `begin` gave.
            spent: What it used.
        """
        self._under_way.add(-1, -begun, -float(self._answer_tokens), 0)
        self.used.add(spent.calls, spent.prompt_tokens, spent.answer_tokens, spent.estimated_calls)


def estimated_tokens(text: str) -> float:
    """About the tokens of a text that nobody has counted.

    Args:
        text: Any.
    """
    return num_bytes(text) / BYTES_A_TOKEN


def num_bytes(text: str) -> int:
    """The bytes of a text in UTF-8.

    Args:
        text: Any.
    """
    return len(text.encode("utf-8", "surrogatepass"))
