"""The same bytes from a Ray cluster of two nodes as from the plain loop, also where processes and nodes are killed.

One cluster for all: it is started once, and a test of many parts shares it.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv
import pytest
import torch

from overproof.api import run
from overproof.commands.main import main
from overproof.data import Source
from overproof.errors import ClusterError, InputError
from overproof.models import load_student
from overproof.processes import HERE, Engine, Work
from overproof.runs.comparison import compare, load_comparison
from overproof.runs.experiment import load
from overproof.scale import engine_on, on_ray
from overproof.scale.worker import machine
from overproof.synthetic import blobs

predicting = importlib.import_module("overproof.deployment.predict")
NAMES = np.array(["red", "green", "blue"])
NUM_ROWS = 9000
"""Of the file: three shards of answers."""


@contextmanager
def cluster_of(num_nodes: int) -> Iterator[Any]:
    """A cluster of nodes with two processors each, at the address in RAY_ADDRESS."""
    pytest.importorskip("ray", reason="ray is not installed: pip install -c constraints.txt 'overproof[ray]'")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    former, handler = os.environ.get("RAY_ADDRESS"), signal.getsignal(signal.SIGTERM)
    # A node of a busy machine is slow to answer, and not dead.
    patient = {"health_check_timeout_ms": 120_000}
    head = {"num_cpus": 2, "include_dashboard": False, "_system_config": patient}
    started = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(num_nodes - 1):
            started.add_node(num_cpus=2)
        # What starts a node in this process sets one of its own.
        signal.signal(signal.SIGTERM, handler)
        os.environ["RAY_ADDRESS"] = started.address
        yield started
    finally:
        started.shutdown()
        os.environ.pop("RAY_ADDRESS", None)
        if former is not None:
            os.environ["RAY_ADDRESS"] = former


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Path:
    """A folder with a file of rows, a comparison, and an experiment whose teacher is a student of it."""
    folder = tmp_path_factory.mktemp("given")
    world = blobs(num_examples=NUM_ROWS, num_classes=3, seed=0)
    columns = {f"x{i}": pa.array(column) for i, column in enumerate(world.inputs.T.numpy())}
    columns |= {"colour": pa.array(NAMES[world.label.numpy()]), "key": pa.array([f"row-{i}" for i in range(NUM_ROWS)])}
    pa.csv.write_csv(pa.table(columns), folder / "blobs.csv")
    data = {"files": {"all": {"path": str(folder / "blobs.csv"), "label": "colour", "id": "key"}}}
    content = {
        "data": {**data, "rows": {"labelled": 40, "pool": 300, "test": 100}},
        "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 3},
        "student": {"name": "mlp", "options": {"hidden": [8]}},
        "train": {"epochs": 1, "batch_size": 32},
        "methods": ["wd"],
        "seeds": [0],
        "compare": {"labels": [30, 40]},
    }
    (folder / "compare.yaml").write_text(json.dumps(content))
    compare(load_comparison(folder / "compare.yaml"), folder / "compared")
    teacher = {"model": str(folder / "compared/labels-40/students/seed-0/wd")}
    several = {**content, "data": {**data, "rows": {"labelled": 40, "pool": 8800, "test": 100}}, "teacher": teacher}
    del several["compare"]
    (folder / "label.yaml").write_text(json.dumps(several))
    return folder


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


def work_of(function: Callable[[Any], Any], opened: Callable[[], object] = lambda: None) -> Work[Any, Any]:
    """A function for all processes; each that opens it calls the second one first."""

    def make() -> Callable[[Any], Any]:
        opened()
        return function

    return Work(what="item", here=function, elsewhere=lambda: make)


def numbers(folder: Path) -> Iterator[int]:
    """The processes that have opened the work."""
    return (int(each.name) for each in folder.iterdir())


def check_order_and_errors(engine: Engine, folder: Path) -> None:
    """Check order, errors in the place where the plain loop has them, and what is kept between items."""

    def squared(item: int) -> int:
        if item == 7:
            raise InputError("7 is not allowed")
        return item * item

    def note() -> None:
        (folder / str(os.getpid())).touch()

    expected = [item * item for item in range(40) if item != 7]
    work = work_of(squared, note)
    assert list(engine.map(work, (item for item in range(40) if item != 7))) == expected
    opened = set(numbers(folder))
    assert os.getpid() not in opened
    assert 1 <= len(opened) <= 4

    def broken() -> Iterator[int]:
        yield from range(3)
        raise InputError("no more items")

    for items, num, message in ((lambda: iter(range(20)), 7, "7 is not"), (broken, 3, "no more items")):
        for each in (engine, HERE):
            found = each.map(work_of(squared), items())
            assert [next(found) for _ in range(num)] == [item * item for item in range(num)]
            with pytest.raises(InputError, match=message):
                next(found)
    assert list(engine.map(work, [])) == []


def check_a_killed_process(engine: Engine, folder: Path) -> None:
    """Check that an item whose process is killed is computed again, and one that kills every time is told."""

    def once(item: int) -> int:
        marker = folder / "killed"
        if item == 5 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return -item

    assert list(engine.map(work_of(once), range(12))) == [-item for item in range(12)]
    assert (folder / "killed").exists()


def check_refusals(engine: Engine, monkeypatch) -> None:
    """Check what is refused: machines that differ, a folder that is not shared, more threads than a node has."""
    work = work_of(lambda item: item)
    with monkeypatch.context() as patch:
        patch.setattr(on_ray, "machine", lambda: {**machine(), "torch": "1.0"})
        with pytest.raises(InputError, match=r"has torch .*, and 1\.0 is where the command was given"):
            list(engine.map(work, [1]))
    with monkeypatch.context() as patch:
        patch.setattr(os, "getcwd", lambda: "/nowhere/at/all")
        with pytest.raises(InputError, match="has no folder '/nowhere/at/all'"):
            list(engine.map(work, [1]))
    large = on_ray.OnRay(engine.ray, 64)
    with pytest.raises(
        ClusterError, match="64 threads, as in this process, and the largest node of the cluster has 2 CPUs"
    ):
        list(large.map(work, [1]))


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


@pytest.mark.parametrize("part", ["short", pytest.param("long", marks=pytest.mark.slow)])
def test_two_nodes_give_the_bytes_of_the_plain_loop(given, tmp_path, monkeypatch, subtests, part):
    with ends_within(600), cluster_of(2), engine_on("ray") as engine:
        # Ray's own handler would end a command with exit code 15.
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        with subtests.test("order and errors"):
            (tmp_path / "opened").mkdir()
            check_order_and_errors(engine, tmp_path / "opened")
        with subtests.test("a killed process"):
            check_a_killed_process(engine, tmp_path)
        with subtests.test("compare"):
            compare(load_comparison(given / "compare.yaml"), tmp_path / "compared", engine=engine)
            check_same(given / "compared", tmp_path / "compared")
        if part == "short":
            return
        with subtests.test("refusals"):
            check_refusals(engine, monkeypatch)
        with subtests.test("predict"):
            monkeypatch.setattr("overproof.deployment.input_pieces.MAX_ROWS", 2000)
            saved = given / "compared/labels-40/students/seed-0/wd"
            source = Source(path=str(given / "blobs.csv"), kind="table", id="key")
            for name, each in (("here", HERE), ("there", engine)):
                for suffix in ("csv", "parquet"):
                    file = tmp_path / f"{name}.{suffix}"
                    done = predicting.predict(load_student(saved), source, file, engine=each, saved=saved)
                    assert done.num_rows == NUM_ROWS
            assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()
            assert (tmp_path / "here.parquet").read_bytes() == (tmp_path / "there.parquet").read_bytes()
        with subtests.test("run"):
            for name, each in (("here", HERE), ("there", engine)):
                run(load(given / "label.yaml"), tmp_path / name, engine=each)
            assert len(list((tmp_path / "here/labels/seed-0/pool").glob("*.parquet"))) == 3
            check_same(tmp_path / "here", tmp_path / "there")


def test_another_engine_is_refused_by_its_name(given, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["compare", str(given / "compare.yaml"), "--out", str(tmp_path / "c"), "--on", "dask"])
    assert "--on 'dask' is no engine; write --on ray" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"^--on ray needs Ray: pip install overproof\[ray\]\.$"), engine_on("ray"):
        torch.zeros(1)


# --- slow: kills at work


@dataclass(frozen=True)
class Killing:
    """An engine, and what is done when the first result is there and other items are under way."""

    engine: Engine
    kill: Callable[[], object]
    remote: bool = True

    def map(self, work: Work[Any, Any], items: Iterable[Any]) -> Iterator[Any]:
        for number, result in enumerate(self.engine.map(work, items)):
            if number == 0:
                self.kill()
            yield result


def workers_of(cluster: Any) -> dict[psutil.Process, str]:
    """The worker processes of a cluster's nodes, and their names; not the agents of a node, which falls with them."""
    found = {}
    for node in cluster.list_all_nodes():
        for each in psutil.Process(node.all_processes["raylet"][0].process.pid).children(recursive=True):
            # A process may end while it is asked.
            with suppress(psutil.Error, IndexError):
                found[each] = each.cmdline()[0]
    return {each: name for each, name in found.items() if name.startswith(("ray::overproof", "ray::IDLE"))}


@pytest.fixture(scope="module")
def rounds(given, tmp_path_factory) -> Path:
    """An experiment whose rows share their peers and whose labelled rows are cross-validated, and a run of it."""
    folder = tmp_path_factory.mktemp("rounds")
    content = json.loads((given / "compare.yaml").read_text())
    del content["compare"]
    content["data"]["rows"] = {"labelled": 60, "pool": 300}
    content["methods"] = [{"method": "wd", "name": name, "rounds": {"most": 1, "folds": 3}} for name in "abc"]
    (folder / "rounds.yaml").write_text(json.dumps(content))
    run(load(folder / "rounds.yaml"), folder / "here")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("what", ["workers", "a node"])
def test_what_is_killed_is_computed_elsewhere(what, given, rounds, tmp_path, monkeypatch, subtests):
    with cluster_of(2) as cluster, engine_on("ray") as ray:
        killed = []

        def kill() -> None:
            if what == "a node":
                node = next(each for each in cluster.list_all_nodes() if not each.head)
                cluster.remove_node(node, allow_graceful=False)
                killed.append(node)
                return
            for each in workers_of(cluster):
                with suppress(psutil.Error):
                    each.kill()
                    killed.append(each)

        engine = Killing(ray, kill)

        def check_killed() -> None:
            assert killed
            killed.clear()
            while len(cluster.list_all_nodes()) < 2:
                cluster.add_node(num_cpus=2)

        with subtests.test("compare"):
            compare(load_comparison(given / "compare.yaml"), tmp_path / "compared", engine=engine)
            check_same(given / "compared", tmp_path / "compared")
            check_killed()
        with subtests.test("label"):
            run(load(given / "label.yaml"), tmp_path / "here")
            run(load(given / "label.yaml"), tmp_path / "there", engine=engine)
            check_same(tmp_path / "here", tmp_path / "there")
            check_killed()
        with subtests.test("predict"):
            monkeypatch.setattr("overproof.deployment.input_pieces.MAX_ROWS", 1000)
            saved = given / "compared/labels-40/students/seed-0/wd"
            source = Source(path=str(given / "blobs.csv"), kind="table", id="key")
            for name, each in (("here", HERE), ("there", engine)):
                predicting.predict(load_student(saved), source, tmp_path / f"{name}.csv", engine=each, saved=saved)
            assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()
            check_killed()
        with subtests.test("peers and folds"):
            run(load(rounds / "rounds.yaml"), tmp_path / "rounds", engine=engine)
            check_same(rounds / "here", tmp_path / "rounds")
            check_killed()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_command_that_is_ended_goes_on(number, code, given, tmp_path):
    command = [sys.executable, "-m", "overproof", "compare", str(given / "compare.yaml"), "--out", str(tmp_path / "c")]
    with cluster_of(2) as cluster:
        begun = subprocess.Popen([*command, "--on", "ray", "--quiet"], stdout=subprocess.DEVNULL)
        while not list((tmp_path / "c").rglob("row.json")):
            assert begun.poll() is None
            time.sleep(0.02)
        begun.send_signal(number)
        assert begun.wait(timeout=30) == code
        until = time.monotonic() + 60
        while any("overproof" in name for name in workers_of(cluster).values()):
            assert time.monotonic() < until, "a task outlives its command"
            time.sleep(0.2)
        subprocess.run([*command, "--on", "ray", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    check_same(given / "compared", tmp_path / "c")
