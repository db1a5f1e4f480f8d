"""Several processes that train one student together, as `torchrun` starts them; a single process needs nothing here.

Imports torch only in a process that `torchrun` started: commands without training answer without it.
"""

import os
import sys
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
