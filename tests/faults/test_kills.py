"""Any command may be killed at any moment: the same command again ends with the bytes of one that nobody disturbed.

Real processes and real signals: SIGKILL, SIGTERM and SIGINT at drawn moments, some of them several times in a row.
"""

import hashlib
import json
import random
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from overproof.synthetic import blobs

NAMES = np.array(["red", "green", "blue"])
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CODES = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
TIMED = ("log.txt", "costs.jsonl", "report.html", ".lock")
"""Files that tell the time, and the lock, which is there or not."""


@pytest.fixture(scope="module")
def given(tmp_path_factory, commands) -> Path:
    """A folder with an experiment, and a finished run of it."""
    folder = tmp_path_factory.mktemp("given")
    world = blobs(num_examples=4000, num_classes=3, seed=0)
    columns = {f"x{i}": pa.array(column) for i, column in enumerate(world.inputs.T.numpy())}
    columns |= {"colour": pa.array(NAMES[world.label.numpy()]), "key": pa.array([f"row-{i}" for i in range(4000)])}
    pa.csv.write_csv(pa.table(columns), folder / "blobs.csv")
    pa.csv.write_csv(pa.table(columns).slice(0, 1000), folder / "few.csv")
    content = {
        "name": "killed",
        "data": {
            "files": {"all": {"path": str(folder / "few.csv"), "label": "colour", "id": "key"}},
            "rows": {"labelled": 60, "pool": 300, "test": 100},
        },
        "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 3},
        "student": {"name": "mlp", "options": {"hidden": [16]}},
        "train": {"epochs": 3, "batch_size": 32, "checkpoint_seconds": 0.05},
        "methods": ["wd"],
        "seeds": [0],
    }
    (folder / "e.yaml").write_text(json.dumps(content))
    assert commands("run", folder / "e.yaml", "--out", folder / "run", "--quiet").code == 0
    return folder


@dataclass(frozen=True)
class Case:
    """A command, what it is given and what it writes.

    Args:
        arguments: The command line; {given} is the folder of the fixture, {out} the one to write to.
        copied: A part of the given folder that is copied to {out} first.
        timed: Files to leave out.
        printed: Whether what it prints is compared as well.
    """

    arguments: str
    copied: str = ""
    timed: tuple[str, ...] = TIMED
    printed: bool = False


STUDENT = "{given}/run/students/seed-0/wd"
CASES = {
    "run": Case("run {given}/e.yaml --out {out}/run --quiet"),
    "compare": Case("compare {given}/e.yaml --out {out}/both --labels 40,60 --methods fidelity --quiet"),
    "label": Case("label {given}/e.yaml --out {out}/run --quiet"),
    "assess": Case("assess {given}/e.yaml --out {out}/run --html {out}/page.html --json", printed=True),
    "export": Case(f"export {STUDENT} --out {{out}}/exported --int8"),
    "predict": Case(f"predict {STUDENT} {{given}}/blobs.csv --id key --out {{out}}/answers.csv"),
    "predict to Parquet": Case(f"predict {STUDENT} {{given}}/blobs.csv --out {{out}}/answers.parquet"),
    # A report tells how long the run took: of the same run it is the same.
    "report": Case("report {out}/run", copied="run", timed=("log.txt",)),
}


class Killed:
    """Kills a command and lets it end, each time in the same folder, empty at first: some pages show its path."""

    def __init__(self, commands, given: Path, case: Case, folder: Path) -> None:
        self.commands, self.given, self.case, self.folder = commands, given, case, folder
        self.hits: list[bool] = []
        self.undisturbed()

    def started(self, **options):
        place = {"given": self.given, "out": self.folder}
        return self.commands(*(each.format(**place) for each in self.case.arguments.split()), **options)

    def prepared(self) -> None:
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        if self.case.copied:
            shutil.copytree(self.given / self.case.copied, self.folder / self.case.copied)

    def content(self, printed: str) -> dict[str, str]:
        """Digests of all files that were written, with no time in them."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.name not in self.case.timed]
        found = {str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        return found | ({"printed": printed} if self.case.printed else {})

    def last_written(self, ended) -> float:
        """When the command wrote or printed last: afterwards its process only ends, which takes most of a second."""
        files = [path.stat().st_mtime for path in self.folder.rglob("*") if path.is_file()]
        return max([ended.printed_at, *files])

    def undisturbed(self) -> None:
        self.prepared()
        began = time.time()
        ended = self.started()
        assert ended.code == 0, ended.err
        self.seconds, self.expected = self.last_written(ended) - began, self.content(ended.out)
        assert self.expected

    def check(self, seed: int, times: int) -> None:
        """Kill as often, each time at a drawn moment and by a drawn signal, then let it end and compare."""
        draw = random.Random(f"{self.case.arguments} {seed}")
        self.prepared()
        story = []
        for _ in range(times):
            sent, after = draw.choice(SIGNALS), draw.uniform(0.02, 1.0) * self.seconds
            ended = self.started(sent=sent, after=after)
            story.append((signal.Signals(sent).name, round(after, 3), ended.code, ended.err[-300:]))
            assert "Traceback" not in ended.err, story
            assert ended.code in (0, CODES[sent]), story
            # Where the signal came too late the command had done its work: one that was lost would be followed by more.
            assert ended.code != 0 or not ended.hit or self.last_written(ended) < ended.sent_at + 0.1, story
            self.hits.append(ended.code != 0)
        ended = self.started()
        assert ended.code == 0, (story, ended.err)
        found = self.content(ended.out)
        differing = {name for name in {*found, *self.expected} if found.get(name) != self.expected.get(name)}
        assert not differing, (story, sorted(differing))


@pytest.mark.parametrize("name", CASES)
def test_a_command_that_was_killed_ends_with_the_same_bytes(commands, given, tmp_path, name):
    killed = Killed(commands, given, CASES[name], tmp_path)
    killed.check(seed=0, times=2)
    assert len(killed.hits) == 2
    assert killed.expected


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_command_that_was_killed_at_many_moments_ends_with_the_same_bytes(commands, given, tmp_path, name):
    """Eight kills of each command, and two more of it three times in a row."""
    killed = Killed(commands, given, CASES[name], tmp_path)
    for seed in range(1, 9):
        killed.check(seed, times=1)
    for seed in (9, 10):
        killed.check(seed, times=3)
    # Most of them found the command at work.
    assert sum(killed.hits) >= len(killed.hits) / 2, killed.hits
