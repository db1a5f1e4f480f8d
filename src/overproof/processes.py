"""Several processes that train one student together, as `torchrun` starts them; alone, nothing happens here."""

import torch
import torch.distributed as dist


def join_group() -> None:
    """Join the other processes where `torchrun` started this one."""
    if dist.is_available() and dist.is_torchelastic_launched() and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def leave_group() -> None:
    """Leave them again."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def place() -> tuple[int, int]:
    """(which of them this is, how many there are): (0, 1) alone."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


def leads() -> bool:
    """Whether this process writes files."""
    return place()[0] == 0


def wait_for_all() -> None:
    """Go on when every process is here."""
    if place()[1] > 1:
        dist.barrier()
