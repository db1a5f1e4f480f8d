"""What is different in a worker of a cluster: it starts no processes, and locks what other workers may write too."""

import os
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from overproof import processes
from overproof.storage.atomic import alone_among_workers
from overproof.training.parallel import run_jobs


def note(folder: Path, number: int) -> None:
    (folder / f"{number}-{os.getpid()}").touch()


@pytest.mark.parametrize("works_for_another", [True, False])
def test_a_worker_trains_peers_one_after_the_other_in_its_own_process(works_for_another, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_working", [True] if works_for_another else [])
    run_jobs([partial(note, tmp_path, number) for number in range(2)], workers=2)
    found = {int(each.name.split("-")[1]) for each in tmp_path.iterdir()}
    assert (found == {os.getpid()}) is works_for_another
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("works_for_another", [True, False])
def test_a_worker_alone_locks_what_others_may_write(works_for_another, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_working", [True] if works_for_another else [])
    with alone_among_workers(tmp_path / "peers"):
        if works_for_another:
            with pytest.raises(Timeout):
                FileLock(tmp_path / "peers/.lock").acquire(timeout=0)
        assert (tmp_path / "peers").exists() is works_for_another
