"""Several processes that train one student together, as `torchrun` starts them; a single process needs nothing here.

Imports torch only in a process that `torchrun` started: commands without training answer without it.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


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


# --- signals

_received: list[int] = []
_deferred: list[bool] = []


def interrupt(number: int, frame: object = None) -> None:
    """The handler of SIGINT and SIGTERM: raise KeyboardInterrupt, or leave it to a loop that saves its state first.

    Args:
        number: The signal.
        frame: Where it came; not used.
    """
    _received.append(number)
    if _deferred and len(_received) == 1:
        return
    raise KeyboardInterrupt


def received() -> list[int]:
    """The signals that this process has got, the first one first."""
    return _received


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Let a loop end at a place of its choice: the first signal is only noted, a second one raises at once.

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
