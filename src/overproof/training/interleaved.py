"""Trainings that take their steps in turn, so that what their steps have in common is made once."""

import time
from collections.abc import Callable, Generator, Sequence
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

Result = TypeVar("Result")
Given = ParamSpec("Given")

Training = Generator[float, None, Result]
"""A training under way: after every step it says what share of its steps are done; it returns what came of it."""


def at_once(fit: Callable[Given, Result]) -> Callable[Given, Training[Result]]:
    """A fit without steps as a training that comes to its end in one turn."""

    @wraps(fit)
    def training(*args: Given.args, **kwargs: Given.kwargs) -> Training[Result]:
        yield from ()
        return fit(*args, **kwargs)

    return training


def in_turn(trainings: Sequence[Training[Result]]) -> list[Result]:
    """Let trainings take their steps in turn, always the one that has done least; each is what it is alone, and the
    global random numbers are nobody else's meanwhile.

    Students of the same seed see the same batches in the same order. Those that take the same step one after the other
    find the batch made (`overproof.models.Ragged.part`), however far a kill had let each of them come.

    Args:
        trainings: Any number; what one of them says of its randomness is a function of its seed and step.

    Returns:
        What came of each.
    """
    results: dict[int, Result] = {}
    done = dict.fromkeys(range(len(trainings)), 0.0)
    with torch.random.fork_rng():
        try:
            while done:
                # The first of those that have done least.
                number = min(done, key=done.__getitem__)
                try:
                    done[number] = next(trainings[number])
                except StopIteration as stop:
                    results[number] = stop.value
                    del done[number]
        finally:
            for training in trainings:
                training.close()
    return [results[number] for number in range(len(trainings))]


def to_its_end(training: Training[Result]) -> Result:
    """Let a training take all its steps, nobody beside it."""
    return in_turn([training])[0]


def alone(training: Callable[Given, Training[Result]]) -> Callable[Given, Result]:
    """The function that takes all steps of such a training."""

    @wraps(training)
    def whole(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        return to_its_end(training(*args, **kwargs))

    return whole


def timed(training: Training[Result]) -> Training[tuple[Result, float]]:
    """The same training, which also says how many seconds its own turns took."""
    seconds = 0.0
    while True:
        began = time.perf_counter()
        try:
            share = next(training)
        except StopIteration as stop:
            return stop.value, seconds + time.perf_counter() - began
        seconds += time.perf_counter() - began
        yield share
