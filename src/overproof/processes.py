"""Several processes: those that train one student together, as `torchrun` starts them, and those that map a function.

Imports torch only in a process that `torchrun` started: commands without training answer without it.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

Item = TypeVar("Item")
Result = TypeVar("Result")


def join_group() -> None:
    """Join the other processes, where `torchrun` started this one."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return
    import torch
    import torch.distributed as dist

    if dist.is_available() and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def leave_group() -> None:
    """Leave the group again."""
    if group := _group():
        group.destroy_process_group()


def place() -> tuple[int, int]:
    """(rank of this process, number of processes): (0, 1) for a single process."""
    group = _group()
    return (group.get_rank(), group.get_world_size()) if group else (0, 1)


def leads() -> bool:
    """Whether this process writes files: the first one, or a single one."""
    return place()[0] == 0


def wait_for_all() -> None:
    """Wait until every process has reached this call."""
    group = _group()
    if group and group.get_world_size() > 1:
        group.barrier()


def _group() -> Any:
    """`torch.distributed` where this process has joined a group, else None (joining one imports the module)."""
    group = sys.modules.get("torch.distributed")
    return group if group and group.is_available() and group.is_initialized() else None


# --- a function of shards or cells, mapped here or elsewhere


@dataclass(frozen=True, kw_only=True, slots=True)
class Work(Generic[Item, Result]):
    """A function of one item, such as a shard of rows or a cell of a table, here and in another process.

    Args:
        what: What an item is called in errors, such as "student".
        here: The function in this process.
        elsewhere: Called in this process, where others shall compute: gives what makes the same function in another
            process, once for all items there. That, the items and the results can be pickled.
        device: What the function computes on, as `train.device`: "auto" is a GPU where there is one.
    """

    what: str
    here: Callable[[Item], Result]
    elsewhere: Callable[[], Callable[[], Callable[[Item], Result]]]
    device: str = "auto"


@runtime_checkable
class Engine(Protocol):
    """Where functions of shards and cells are computed."""

    @property
    def remote(self) -> bool:
        """Whether other processes compute them, each of which opens what it needs."""
        ...

    def map(self, work: Work[Item, Result], items: Iterable[Item]) -> Iterator[Result]:
        """The results in the order of the items, which are made as they are needed; the same bytes everywhere."""
        ...


@dataclass(frozen=True, slots=True)
class Here:
    """The plain loop: one item after another in this process."""

    remote: bool = False

    def map(self, work: Work[Item, Result], items: Iterable[Item]) -> Iterator[Result]:
        """The results in the order of the items."""
        return map(work.here, items)


HERE = Here()

_working: list[bool] = []


def become_worker() -> None:
    """Say that this process computes items for another one, beside others that do the same."""
    _working[:] = [True]


def is_worker() -> bool:
    """Whether it does: it starts no processes of its own then, and others may write the same files."""
    return bool(_working)


# --- signals

_received: list[int] = []
_deferred: list[bool] = []
_waiting: list[bool] = []


def interrupt(number: int, frame: FrameType | None = None) -> None:
    """The handler of SIGINT and SIGTERM: raise KeyboardInterrupt, where that ends the command and breaks nothing.

    Nothing is raised while a loop goes on to a place of its choice (`deferred_interrupts`), while a module is imported,
    and while a former KeyboardInterrupt closes files on its way out. The handler is called again and again until the
    command has ended (`commands.output.signals`).

    Args:
        number: The signal.
        frame: Where it came.
    """
    if not _received:
        _received.append(number)
    _waiting[:] = [True] if _importing(frame) else []
    if not (_deferred or _waiting or _on_its_way()):
        raise KeyboardInterrupt


def interrupt_again(number: int, frame: FrameType | None = None) -> None:
    """The handler of the signal by which the exception is raised again; nothing is raised before a first one came.

    Args:
        number: The signal.
        frame: Where it came.
    """
    if _received:
        interrupt(_received[0], frame)


def received() -> list[int]:
    """The first signal that this process has got; empty before."""
    return _received


def waits_for_import() -> bool:
    """Whether the signal last found a module being imported, so that there is no state to save."""
    return bool(_waiting) and not _deferred


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported: half of it would be left behind, or a library in C ends the process."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _on_its_way() -> bool:
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Let a loop end at a place of its choice: a signal is only noted.

    The loop asks `interrupted`, saves its state and raises KeyboardInterrupt; one that comes too late for it is raised
    at the end. Where no command has set the handler (`interrupt`), and with several processes, which would end at
    different places, nothing is deferred.
    """
    if place()[1] > 1:
        yield
        return
    _deferred.append(True)
    try:
        yield
    finally:
        _deferred.pop()
    if _received:
        raise KeyboardInterrupt


def interrupted() -> bool:
    """Whether a signal has come that waits for the loop to end."""
    return bool(_deferred and _received)
