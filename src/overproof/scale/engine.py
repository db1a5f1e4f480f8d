"""The engine that `--on` names: the plain loop in this process, or a Ray cluster."""

from collections.abc import Iterator
from contextlib import contextmanager

from overproof.errors import InputError
from overproof.processes import HERE, Engine
from overproof.progress import Progress, Silent
from overproof.scale.on_ray import connected

RAY = "ray"


@contextmanager
def engine_on(on: str | None, progress: Progress | None = None) -> Iterator[Engine]:
    """The engine for the work in this block.

    Args:
        on: None for this process; "ray" for the Ray cluster that RAY_ADDRESS names or that runs on this machine, else
            for one that is started here for the time of the block; "ray://HOST:PORT" for that of a Ray client server.
        progress: Is told what the cluster has.

    Example:
        >>> with engine_on(None) as engine:
        ...     engine.remote
        False

    Raises:
        InputError: Another word, ray is not installed, or no cluster answers.
    """
    if on is None:
        yield HERE
        return
    if on != RAY and not on.startswith(f"{RAY}://"):
        raise InputError(f"--on {on!r} is no engine; write --on ray, or --on ray://HOST:10001 for a cluster elsewhere.")
    with connected(None if on == RAY else on, progress or Silent()) as engine:
        yield engine
