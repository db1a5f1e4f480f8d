"""How far long work is: a bar on a terminal, nothing elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

Advance = Callable[[int, str], None]
"""Told how much is done in all, and a few words about it."""


@runtime_checkable
class Progress(Protocol):
    """Shows how far long work is."""

    def task(self, what: str, total: int | None) -> AbstractContextManager[Advance]:
        """A bar for one piece of work, gone when it is done."""
        ...

    def counter(self, what: str) -> Callable[[int, int], None]:
        """A bar that learns its total with the first call and goes when it is reached."""
        ...

    def note(self, words: Callable[[], str]) -> None:
        """A line that stays; the words are only made where somebody reads them."""
        ...


class Silent:
    """Shows nothing."""

    @contextmanager
    def task(self, what: str, total: int | None) -> Iterator[Advance]:
        """A task nobody sees."""
        yield lambda done, words: None

    def counter(self, what: str) -> Callable[[int, int], None]:
        """A counter nobody sees."""
        return lambda done, total: None

    def note(self, words: Callable[[], str]) -> None:
        """Words nobody reads are not made."""


class OnTerminal:
    """Bars on the terminal, one a task.

    Args:
        console: Where; bars are drawn on terminals only.
    """

    def __init__(self, console: Console) -> None:
        self.noted: list[str] = []
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=console.quiet or not console.is_terminal,
        )

    def __enter__(self) -> "OnTerminal":
        self._bars.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._bars.stop()

    @contextmanager
    def task(self, what: str, total: int | None) -> Iterator[Advance]:
        """A bar for one piece of work, gone when it is done."""
        bar = self._bars.add_task(what, total=total, words="")
        try:
            yield lambda done, words: self._bars.update(bar, completed=done, words=words)
        finally:
            self._bars.remove_task(bar)

    def counter(self, what: str) -> Callable[[int, int], None]:
        """A bar that learns its total with the first call and goes when it is reached."""
        bars: list[TaskID] = []

        def count(done: int, total: int) -> None:
            if not bars:
                bars.append(self._bars.add_task(what, total=total, words=""))
            self._bars.update(bars[0], completed=done)
            if done >= total:
                self._bars.remove_task(bars.pop())

        return count

    def note(self, words: Callable[[], str]) -> None:
        """A line above the bars."""
        if not self._bars.console.quiet:
            self.noted.append(words())
            self._bars.console.print(self.noted[-1], soft_wrap=True, markup=False, highlight=False)
