"""A Ray cluster as an engine: a task an item, results in order, tasks of a worker or node that died done again.

Tasks and not actors: a task that was lost goes to any node with room, also where the cluster has become smaller, while
an actor that finds no room holds its items forever. What a task needs (a teacher, a run) is opened once in each worker
process and kept there (`overproof.scale.worker`).
"""

import contextlib
import itertools
import logging
import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from overproof.errors import ClusterError, InputError
from overproof.processes import Item, Result, Work
from overproof.progress import Progress
from overproof.scale.worker import Opening, computed, machine

RETRIES = 8
"""So often a task is done again after the process or the node that did it has died."""

UNFINISHED, UNREAD = 2, 8
"""Tasks under way, and results that wait for one before them, for each task that the cluster can do at once."""

_AGAIN = "what is finished is kept: run the same command again to resume."

_numbers = itertools.count()


@dataclass(frozen=True, slots=True, eq=False)
class OnRay:
    """An engine of a Ray cluster that this process is connected to.

    Args:
        ray: The module.
        threads: How many threads, and processors, a task has: as many as the same work would have in this process.
        gpu: Whether this process has a GPU: then a task has one too, but where its work is for processors.
    """

    ray: Any
    threads: int
    gpu: bool = False
    remote: bool = True

    def map(self, work: Work[Item, Result], items: Iterable[Item]) -> Iterator[Result]:
        """The results in the order of the items, which are made as there is room for them.

        Raises:
            InputError: The function or the items raised it; that of the first such item.
            ClusterError: A worker cannot do the work, or has died too often.
        """
        ray = self.ray
        # In a list, so that a worker gets the reference, and reads the opening where it has not opened it yet.
        number, opened = f"{os.getpid()}-{time.time_ns()}-{next(_numbers)}", list[Any]()
        gpus = int(self.gpu and work.device != "cpu")
        task = ray.remote(computed).options(
            num_cpus=self.threads, num_gpus=gpus, max_retries=RETRIES, name=f"overproof {work.what}"
        )
        waiting, unfinished, stopped = deque[Any](), set[Any](), list[BaseException | None]()
        source = iter(items)
        try:
            while True:
                room = self.room(gpus)
                while not stopped and len(unfinished) < UNFINISHED * room and len(waiting) < UNREAD * room:
                    try:
                        item = next(source)
                    except StopIteration:
                        stopped.append(None)
                    except Exception as error:
                        # Raised where the plain loop would raise it: after the results of the items before.
                        stopped.append(error)
                    else:
                        if not opened:
                            opened.append(ray.put(self._opening(work, number)))
                        waiting.append(task.remote(opened, number, item))
                        unfinished.add(waiting[-1])
                while waiting and waiting[0] not in unfinished:
                    yield self._result(waiting.popleft(), work.what)
                if not unfinished and stopped:
                    break
                if unfinished:
                    done, _ = ray.wait(list(unfinished), num_returns=1, timeout=5.0)
                    unfinished.difference_update(done)
            if stopped[0] is not None:
                raise stopped[0]
        finally:
            for each in unfinished:
                with contextlib.suppress(Exception):
                    ray.cancel(each, force=True)

    def _opening(self, work: Work[Any, Any], number: str) -> Opening:
        make = work.elsewhere()
        return Opening(number=number, make=make, folder=os.getcwd(), threads=self.threads, machine=machine())

    def room(self, gpus: int = 0) -> int:
        """How many tasks the cluster can do at once, as it is now.

        Args:
            gpus: How many a task has.

        Raises:
            ClusterError: No node has as many processors, or GPUs, as a task needs.
        """
        nodes = [each["Resources"] for each in self.ray.nodes() if each["Alive"]]
        wanted = {"CPU": self.threads, **({"GPU": gpus} if gpus else {})}
        room = sum(min(int(node.get(name, 0) // num) for name, num in wanted.items()) for node in nodes)
        if room == 0:
            most = int(max((node.get("CPU", 0) for node in nodes), default=0))
            if most >= self.threads:
                raise ClusterError(
                    "this process has a GPU, so that a task needs one too, and no node of the cluster has one with "
                    f"{self.threads} CPUs; write --set train.device=cpu, and run the same command again."
                )
            raise ClusterError(
                f"a task has {self.threads} threads, as in this process, and the largest node of the cluster has "
                f"{most} CPUs; set OMP_NUM_THREADS={max(most, 1)} or less, and run the same command again."
            )
        return room

    def _result(self, reference: Any, what: str) -> Any:
        try:
            refused, found = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ImportError):
                raise ClusterError(
                    f"a worker of the cluster cannot import what it needs ({error.cause}); install the same version "
                    f"of overproof, with the same extras, on every node."
                ) from None
            if isinstance(error.cause, self.ray.exceptions.RayError):
                raise ClusterError(f"the cluster has failed ({_first(error.cause)}); {_AGAIN}") from None
            raise
        except self.ray.exceptions.RayError as error:
            raise ClusterError(
                f"a {what} was begun {RETRIES + 1} times, and each time its process or node died "
                f"({_first(error)}); {_AGAIN}"
            ) from None
        if refused:
            raise found
        return found


@contextmanager
def connected(address: str | None, progress: Progress) -> Iterator[OnRay]:
    """An engine of a cluster, for the time of the block.

    Args:
        address: Of a Ray client server; None for the cluster of RAY_ADDRESS or of this machine, else for one that is
            started here.
        progress: Is told what the cluster has.

    Raises:
        InputError: ray is not installed, or no cluster answers.
    """
    # Nothing about a run leaves the machines that the user has named.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise InputError("--on ray needs Ray: pip install overproof[ray].") from None
    import torch

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        _connect(ray, address)
    finally:
        # Ray sets a handler of SIGTERM that ends the program with exit code 15.
        for number, handler in handlers.items():
            with contextlib.suppress(ValueError):  # not in the main thread: Ray has set none either
                signal.signal(number, handler)
    try:
        engine = OnRay(ray, torch.get_num_threads(), torch.cuda.is_available())
        room = engine.room()
        nodes = sum(bool(each["Alive"]) for each in ray.nodes())
        progress.note(
            lambda: (
                f"Ray: {nodes} node{'s' if nodes > 1 else ''}, {room} task{'s' if room > 1 else ''} at once with "
                f"{engine.threads} thread{'s' if engine.threads > 1 else ''} each (OMP_NUM_THREADS)."
            )
        )
        yield engine
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str | None) -> None:
    if ray.is_initialized():
        raise InputError("--on ray: this process is connected to a Ray cluster already; call ray.shutdown() first.")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        try:
            ray.init(address="auto", **options)
            return
        except ConnectionError as error:
            if named := os.environ.get("RAY_ADDRESS"):
                raise InputError(
                    f"RAY_ADDRESS is {named!r}, and no Ray cluster answers there: {_first(error)}."
                ) from None
        ray.init(address="local", include_dashboard=False, **options)
        return
    try:
        ray.init(address=address, **options)
    except ImportError:
        raise InputError(f"--on {address} needs Ray's client: pip install overproof[ray], here and there.") from None
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"--on {address}: no Ray cluster answers there: {_first(error)}.") from None


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
