"""The same bytes from a Ray cluster of two nodes as from the plain loop, also where processes and nodes are killed.

The short tests share one cluster, which is started once; those of several clusters are slow.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import torch

from overproof.answers.ask import answer
from overproof.api import run
from overproof.commands.main import main
from overproof.data import Source
from overproof.deployment.annotate import pool_probs
from overproof.errors import ClusterError, InputError
from overproof.models import load_student
from overproof.processes import HERE, Engine, Work
from overproof.runs.comparison import compare, load_comparison
from overproof.runs.experiment import load
from overproof.runs.pipeline import open_run
from overproof.runs.selection import selector_of, write_selection
from overproof.scale import engine_on, on_ray
from overproof.scale.worker import machine
from overproof.storage.shard import StoreKey
from overproof.synthetic import blobs
from tests.scale.clusters import check_same, cluster_of, ends_within

predicting = importlib.import_module("overproof.deployment.predict")
NAMES = np.array(["red", "green", "blue"])
NUM_ROWS = 9000
"""Of the file: three shards of answers."""


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


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Engine]:
    """An engine of two nodes with a processor each, so that few processes import everything."""
    with ends_within(300), cluster_of(2, num_cpus=1), engine_on("ray") as engine:
        yield engine


def test_two_nodes_give_the_bytes_of_the_plain_loop(given, two_nodes, tmp_path, subtests):
    # Ray's own handler would end a command with exit code 15.
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    with subtests.test("order and errors"):
        (tmp_path / "opened").mkdir()
        check_order_and_errors(two_nodes, tmp_path / "opened")
    with subtests.test("a killed process"):
        check_a_killed_process(two_nodes, tmp_path)
    with subtests.test("compare"):
        compare(load_comparison(given / "compare.yaml"), tmp_path / "compared", engine=two_nodes)
        check_same(given / "compared", tmp_path / "compared")
    with subtests.test("select"):
        check_select(given, two_nodes, tmp_path)
    with subtests.test("annotate"):
        check_annotate(given, two_nodes)


def check_select(given: Path, engine: Engine, folder: Path) -> None:
    """Check that the shards of a store that are read elsewhere give the same file."""
    random = torch.Generator().manual_seed(0)
    probs = torch.randn(700, 3, generator=random, dtype=torch.float64).softmax(1)
    ids, key = (
        np.frombuffer(np.random.default_rng(0).bytes(16 * 700), "V16"),
        StoreKey(teacher="t", data="d", transform="none", code="1"),
    )
    answer(folder / "store", ids, key, tuple(NAMES), lambda rows: probs[rows], rows_per_shard=100)
    for rule, options in (("confident", {"budget": 100}), ("per_class", {"quota": 0.25}), ("adaptive", {})):
        rows = []
        for name, each in (("here", HERE), ("there", engine)):
            rule_of = selector_of(rule, {**options, **({"confidence": 0.5} if rule == "adaptive" else {})})
            write_selection(folder / "store", rule_of, folder / f"{name}.parquet", engine=each)
            rows.append((folder / f"{name}.parquet").read_bytes())
        assert rows[0] == rows[1]


def check_annotate(given: Path, engine: Engine) -> None:
    """Check that the probabilities by which a pool is labelled are those of this process."""
    folder = given / "compared/labels-40"
    pools = []
    for each in (HERE, engine):
        work = open_run(folder, engine=each)
        work.begin()
        saved = folder / "students/seed-0/wd"
        pools.append(pool_probs(work, 0, saved, work.seed_roles(0).pool, "both"))
    assert torch.equal(*pools)


@pytest.mark.slow
def test_two_processors_a_node(given, tmp_path, monkeypatch, subtests):
    with ends_within(600), cluster_of(2), engine_on("ray") as engine:
        with subtests.test("refusals"):
            check_refusals(engine, monkeypatch)
        with subtests.test("compare"):
            compare(load_comparison(given / "compare.yaml"), tmp_path / "compared", engine=engine)
            check_same(given / "compared", tmp_path / "compared")
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
                # Not beside each other: a run finds there what its teacher has answered.
                run(load(given / "label.yaml"), tmp_path / name / "run", engine=each)
            assert len(list((tmp_path / "here/run/labels/seed-0/pool").glob("*.parquet"))) == 3
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
            run(load(given / "label.yaml"), tmp_path / "here/run")
            run(load(given / "label.yaml"), tmp_path / "there/run", engine=engine)
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


# --- a cluster that is killed whole, and another one


def kill_whole(cluster: Any) -> None:
    """kill -9 of every process of a cluster, the head's as well, without a word to any of them."""
    found = []
    for node in cluster.list_all_nodes():
        for each in (info for group in node.all_processes.values() for info in group):
            with suppress(psutil.Error):
                process = psutil.Process(each.process.pid)
                found += [process, *process.children(recursive=True)]
    for each in found:
        with suppress(psutil.Error):
            each.kill()


def many_shards(given: Path, folder: Path) -> Path:
    """An experiment with so many shards that they are not all computed before the first one is stored."""
    world = blobs(num_examples=60_000, num_classes=3, seed=1)
    columns = {f"x{i}": pa.array(column) for i, column in enumerate(world.inputs.T.numpy())}
    columns |= {"colour": pa.array(NAMES[world.label.numpy()]), "key": pa.array(np.arange(60_000).astype(str))}
    pq.write_table(pa.table(columns), folder / "many.parquet")
    content = json.loads((given / "label.yaml").read_text())
    content["data"]["files"]["all"]["path"] = str(folder / "many.parquet")
    content["data"]["rows"] = {"labelled": 40, "pool": 59_000, "test": 100}
    (folder / "many.yaml").write_text(json.dumps(content))
    return folder / "many.yaml"


@pytest.mark.parametrize(
    ("command", "part", "num_nodes"),
    [
        ("label", "*.parquet", 1),
        pytest.param("compare", "row.json", 2, marks=pytest.mark.slow),
    ],
)
def test_a_command_goes_on_with_another_cluster(command, part, num_nodes, given, tmp_path):
    file = given / "compare.yaml" if command == "compare" else many_shards(given, tmp_path)
    # A pause after every shard, so that the kill does not come too late; results that wait were computed before.
    slowed = (
        "import sys, time; from overproof.storage import store; from overproof.commands.main import main\n"
        "write = store.write_bytes; store.write_bytes = lambda *a: (write(*a), time.sleep(0.1))\n"
        "main(sys.argv[1:])"
    )
    line = [sys.executable, "-c", slowed, command, str(file), "--quiet", "--out"]
    subprocess.run([*line, str(tmp_path / "here/run")], check=True, stdout=subprocess.DEVNULL)
    line += [str(tmp_path / "there/run"), "--on", "ray"]
    with ends_within(300):
        with cluster_of(num_nodes, 1) as cluster:
            begun = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not list((tmp_path / "there").rglob(part)):
                assert begun.poll() is None
                time.sleep(0.002)
            # It must not finish while the processes are listed.
            begun.send_signal(signal.SIGSTOP)
            kill_whole(cluster)
            begun.send_signal(signal.SIGCONT)
            # Ray ends a process that has looked for its head in vain.
            assert begun.wait(timeout=200) == 1
        with cluster_of(num_nodes, 1):
            subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    check_same(tmp_path / "here/run", tmp_path / "there/run")


# Ray leaves the files of the server's output open.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_cluster_behind_a_client_server(given, tmp_path):
    pytest.importorskip("grpc", reason="ray:// needs grpcio: pip install -c constraints.txt 'overproof[ray]'")
    port = 10_000 + os.getpid() % 20_000
    with ends_within(300), cluster_of(2, ray_client_server_port=port):
        del os.environ["RAY_ADDRESS"]
        with engine_on(f"ray://127.0.0.1:{port}") as engine:
            (tmp_path / "opened").mkdir()
            check_order_and_errors(engine, tmp_path / "opened")
            check_a_killed_process(engine, tmp_path)
            compare(load_comparison(given / "compare.yaml"), tmp_path / "compared", engine=engine)
    check_same(given / "compared", tmp_path / "compared")
