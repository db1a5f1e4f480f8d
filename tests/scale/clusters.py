"""Clusters on this machine, and whether two folders are the same."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def cluster_of(num_nodes: int, num_cpus: int = 2, **head: Any) -> Iterator[Any]:
    """A cluster of nodes with some processors each, at the address in RAY_ADDRESS."""
    pytest.importorskip("ray", reason="ray is not installed: pip install -c constraints.txt 'overproof[ray]'")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    former, handler = os.environ.get("RAY_ADDRESS"), signal.getsignal(signal.SIGTERM)
    # A node of a busy machine is slow to answer, and not dead. Ray gives workers the least of its processors else.
    patient = {"health_check_timeout_ms": 120_000, "worker_niceness": 0, "gcs_rpc_server_reconnect_timeout_s": 5}
    head |= {"num_cpus": num_cpus, "include_dashboard": False, "_system_config": patient}
    started = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(num_nodes - 1):
            started.add_node(num_cpus=num_cpus)
        # What starts a node in this process sets one of its own.
        signal.signal(signal.SIGTERM, handler)
        os.environ["RAY_ADDRESS"] = started.address
        yield started
    finally:
        started.shutdown()
        os.environ.pop("RAY_ADDRESS", None)
        if former is not None:
            os.environ["RAY_ADDRESS"] = former


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """All files of a folder but those that tell the time, and the locks."""
    timed = ("log.txt", "costs.jsonl", "report.html", ".lock")
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in timed)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def check_same(one: Path, other: Path) -> None:
    """Check that two folders hold the same files, byte for byte."""
    first, second = folder_bytes(one), folder_bytes(other)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    assert len(first) > 5


@contextmanager
def ends_within(seconds: int) -> Iterator[None]:
    """A cluster that nothing answers ends the test, and does not hold up the suite."""

    def too_late(*_: object) -> None:
        raise TimeoutError(f"the cluster has not answered for {seconds} seconds")

    former = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)
