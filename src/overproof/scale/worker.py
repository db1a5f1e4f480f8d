"""What runs in a worker process of a cluster: it opens what a piece of work needs once, and computes its items."""

import gc
import os
import platform
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from overproof.errors import InputError
from overproof.processes import become_worker
from overproof.version import __version__

PACKAGES = ("numpy", "pyarrow", "scikit-learn", "torch")
"""Packages that numbers are computed with: other versions may give other bytes."""

_opened: dict[str, Callable[[Any], Any]] = {}
"""The function of the last work that this process has opened."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """A piece of work, as a worker opens it.

    Args:
        number: Of this call of `map`, unlike any other.
        make: Makes the function of an item.
        folder: The working directory of the command: paths are relative to it.
        threads: How many threads the function has.
        machine: `machine()` of the process of the command.
    """

    number: str
    make: Callable[[], Callable[[Any], Any]]
    folder: str
    threads: int
    machine: dict[str, str]


def machine() -> dict[str, str]:
    """What the same computation may give other bytes on, by name: versions, and the kind of processor."""
    from importlib.metadata import PackageNotFoundError, version

    import torch

    def version_of(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "none"

    found = {"overproof": __version__, "Python": platform.python_version()}
    found |= {name: version_of(name) for name in PACKAGES}
    if torch.cuda.is_available():
        found["GPU"] = torch.cuda.get_device_name()
    return {**found, "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"}


def computed(opened: list[Any], number: str, item: Any) -> tuple[bool, Any]:
    """A task: compute one item.

    Args:
        opened: The reference of the `Opening`, alone.
        number: Its number.
        item: The item.

    Returns:
        (False, the result), or (True, the error) for one that the user is meant to read.
    """
    try:
        if number not in _opened:
            _opened.clear()
            gc.collect()
            import ray

            _opened[number] = _function(ray.get(opened[0]))
        return False, _opened[number](item)
    except InputError as error:
        return True, error


def _function(opening: Opening) -> Callable[[Any], Any]:
    import torch
    from threadpoolctl import threadpool_limits

    node, here = socket.gethostname(), machine()
    for name, wanted in opening.machine.items():
        # A task that is for processors sees no GPU.
        if here.get(name, wanted) != wanted:
            raise InputError(
                f"The node {node} has {name} {here[name]}, and {wanted} is where the command was given, so that "
                f"results could depend on the node: use nodes of one kind with the same packages."
            )
    try:
        os.chdir(opening.folder)
    except OSError:
        raise InputError(
            f"The node {node} has no folder {opening.folder!r}, in which the command was given: with --on, all nodes "
            f"need a file system that they share."
        ) from None
    torch.set_num_threads(opening.threads)
    threadpool_limits(opening.threads)
    become_worker()
    return opening.make()
