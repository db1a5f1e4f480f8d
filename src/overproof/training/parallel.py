"""Several trainings at a time: jobs in forked processes where that is safe, one after the other where it is not."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from typing import Literal

import torch

from overproof.processes import is_worker, place

SECONDS_TO_SAVE = 5.0
"""How long processes that are ended may take to save the state of their training."""

Job = Callable[[], None]
"""Writes its result to a file, atomically; if the file exists, it returns at once."""


def run_jobs(jobs: Sequence[Job], *, workers: int | Literal["auto"] = "auto") -> None:
    """Run every job, with the same bytes as results in parallel and in sequence.

    Each job has one thread: a forked process must not use the threads of its parent, which do not exist in it, and a
    result must not depend on how many jobs run in parallel. A job that fails in its own process is run again in this
    one, so that its error is raised here unchanged.

    Args:
        jobs: They must not depend on each other.
        workers: Number of jobs in parallel, at least 1; `auto` is one per core. It is one where a fork is unsafe: with
            a GPU, under `torchrun`, in a worker of a cluster, and on other systems than Linux.
    """
    can_fork = sys.platform == "linux" and place()[1] == 1 and not torch.cuda.is_available()
    if not can_fork:
        for job in jobs:
            job()
        return
    most = len(os.sched_getaffinity(0)) if workers == "auto" else workers
    # A cluster has counted the processors of its workers, whose threads would not survive a fork.
    most = 1 if is_worker() else most
    with _one_thread():
        unfinished = list(jobs) if min(most, len(jobs)) == 1 else _in_processes(jobs, most)
        for job in unfinished:
            job()


def _in_processes(jobs: Sequence[Job], most: int) -> list[Job]:
    """Run the jobs in processes, at most `most` in parallel, and return those that failed."""
    waiting, failed = list(jobs), list[Job]()
    running: dict[BaseProcess, Job] = {}
    try:
        while waiting or running:
            while waiting and len(running) < most:
                job = waiting.pop(0)
                process: BaseProcess = get_context("fork").Process(target=_alone, args=(job, os.getpid()), daemon=True)
                try:
                    process.start()
                except OSError:
                    # No memory or no process is left for a fork; this one runs the job when the others have ended.
                    failed.append(job)
                    continue
                running[process] = job
            time.sleep(0.01)
            for ended in [each for each in running if not each.is_alive()]:
                job = running.pop(ended)
                if ended.exitcode != 0:
                    failed.append(job)
    finally:
        _end(list(running))
    return failed


def _end(processes: list[BaseProcess]) -> None:
    """End the processes that are left; each may save the state of its training first."""
    for each in processes:
        each.terminate()
    until = time.monotonic() + SECONDS_TO_SAVE
    for each in processes:
        each.join(max(0.0, until - time.monotonic()))
        each.kill()
        each.join()


def _alone(job: Job, parent: int) -> None:
    # The process ends with its parent, also if that was killed.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    # What wakes the parent on a signal is not for this process to use.
    signal.set_wakeup_fd(-1)
    # The parent runs a failed job again, so its error is shown there.
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    job()


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
