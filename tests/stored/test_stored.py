"""What version 0.1.0 wrote is read: runs are opened again, answers reused, students answer the same.

`v0_1_0` was made by `make.py` with that version and is never edited.
"""

import csv
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import sklearn
from typer.testing import CliRunner

from overproof.commands.main import app
from overproof.errors import InputError
from overproof.models import load_student
from overproof.progress import Silent
from overproof.runs.experiment import load
from overproof.runs.pipeline import Run, open_run
from overproof.storage.store import kept_under

STORED = Path(__file__).parent / "v0_1_0"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A copy of the folders, as the working directory that their relative paths mean."""
    shutil.copytree(STORED, tmp_path / "home")
    monkeypatch.chdir(tmp_path / "home")
    # The answers of a scikit-learn teacher are kept under its version.
    words = kept_under(Path("finished/labels/seed-0/teacher-1/test")).teacher
    monkeypatch.setattr(sklearn, "__version__", re.search(r"LogisticRegression (\S+) ", words)[1])
    return tmp_path / "home"


@pytest.fixture
def nobody_answers(monkeypatch):
    """Training or asking a teacher fails."""

    def refuse(*args, **kwargs):
        raise AssertionError("a teacher was trained or asked again")

    for name in (
        "trained.network.Network.fit",
        "trained.estimator.Estimator.fit",
        "brought.saved_student.SavedTeacher.probs",
    ):
        monkeypatch.setattr(f"overproof.teachers.{name}", refuse)


def files_of(folder):
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def assert_same(found: Any, written: Any) -> None:
    """The same JSON, but for the last bits of numbers: they were computed on another processor."""
    if isinstance(written, dict):
        assert list(found) == list(written)
        found, written = list(found.values()), list(written.values())
    if isinstance(written, list):
        for one, other in zip(found, written, strict=True):
            assert_same(one, other)
    else:
        assert found == (pytest.approx(written, rel=1e-6, abs=1e-6) if isinstance(written, float) else written)


def test_a_finished_run_is_evaluated_again_to_the_same_numbers_without_a_question(home, nobody_answers):
    before = files_of(home / "finished")
    open_run("finished").evaluate()
    after = files_of(home / "finished")
    found, written = json.loads(after["result.json"]), json.loads(before["result.json"])
    # The sentences follow the wording of the version that writes them; all that is measured stays.
    # One more says which teacher it was.
    assert len(found.pop("findings")) == len(written.pop("findings")) + 1
    # Earlier results have no manifest.
    assert found.pop("manifest") == "manifest.json"
    # Nor do they say on what they were judged: a test.
    num = found["rows"][0]["metrics"]["num_examples"]
    assert found.pop("judged_on") == {"kind": "test", "num_examples": num, "num_folds": 0}
    assert {(each.pop("num_judged"), each.pop("num_folds")) for each in found["summary"]} == {(num, 0)}
    assert_same(found, written)
    assert after["tallies.json"] == before["tallies.json"]
    for name, data in before.items():
        if name.endswith("/weights.json"):
            # The weights of a stack get a checksum, and are computed again.
            weights = json.loads(after[name])
            assert weights.pop("blake2b")
            assert_same(weights, json.loads(data))
        elif name.startswith("labels"):
            assert after[name] == data, name


def test_a_finished_run_is_reported(home, nobody_answers):
    result = CliRunner().invoke(app, ["report", "finished"])
    assert result.exit_code == 0, result.output
    assert "slam" in Path("finished/report.html").read_text()


def test_a_student_answers_the_same(home):
    student = "finished/students/seed-1/wd"
    result = CliRunner().invoke(app, ["predict", student, "data/test.csv", "--out", "again.csv"])
    assert result.exit_code == 0, result.output
    (names, *found), (old_names, *written) = (
        list(csv.reader(Path(name).read_text().splitlines())) for name in ("again.csv", "predictions.csv")
    )
    assert names == old_names
    for row, old in zip(found, written, strict=True):
        assert row[:2] == old[:2]
        assert [float(each) for each in row[2:]] == pytest.approx([float(each) for each in old[2:]], abs=1e-6)


def test_a_student_is_saved_to_the_same_weights(home):
    folder = Path("finished/students/seed-1/wd")
    load_student(folder).save("copy")
    assert (folder / "student.safetensors").read_bytes() == Path("copy/student.safetensors").read_bytes()
    assert len(safetensors.torch.load_file("copy/student.safetensors")) == 2


def test_answers_of_a_brought_teacher_are_used_and_an_unfinished_store_is_completed(home, nobody_answers):
    before = files_of(home / "brought/labels")
    # The default of this option has changed since.
    Run(experiment=load("brought.yaml", ["held_out_share=0.3"]), folder=Path("brought"), progress=Silent()).label()
    after = files_of(home / "brought/labels")
    assert after.items() >= before.items()
    assert after.keys() - before.keys() == {"seed-1/pool/manifest.json"}
    assert json.loads(after["seed-1/pool/manifest.json"])["key"]["code"] == "overproof 0.1.0"


def test_answers_of_a_trained_teacher_are_used_by_a_run_with_other_students(home, nobody_answers):
    shutil.copytree("finished/labels", "other/labels")
    Path("other/experiment.yaml").write_text(
        Path("finished/experiment.yaml").read_text().replace("epochs: 5\n", "epochs: 2\n", 1)
    )
    result = open_run("other").all_steps()
    assert {row.method for row in result.rows} >= {"teacher", "wd", "slam"}


@pytest.mark.parametrize("change", ["widths", "epochs", "folds"])
def test_answers_of_another_teacher_are_refused(home, change):
    text = Path("finished/experiment.yaml").read_text()
    old, new = {
        "widths": ("- 4\n", "- 5\n"),
        "epochs": ("epochs: 3\n", "epochs: 4\n"),
        "folds": ("folds: 2", "folds: 3"),
    }[change]
    assert old in text
    Path("finished/experiment.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(
        InputError, match=r"The store .* has teacher .*, but .* is needed: give another folder, or the options"
    ):
        open_run("finished").evaluate()


def test_a_checkpoint_of_another_version_is_refused_in_one_sentence(home):
    with pytest.raises(InputError) as refused:
        open_run("killed").all_steps()
    assert str(refused.value) == (
        "killed/students/seed-0/hard/checkpoint.pt is damaged or was written by another version of overproof (without "
        "a checksum; this version resumes format 2 only); delete it to train this student from the beginning."
    )


def test_a_killed_run_goes_on_without_its_checkpoint_and_trains_no_finished_student_again(home, nobody_answers):
    Path("killed/students/seed-0/hard/checkpoint.pt").unlink()
    before = Path("killed/students/seed-0/labelled_only/student.safetensors").read_bytes()
    written = os.stat("killed/students/seed-0/labelled_only/row.json").st_mtime_ns
    result = open_run("killed").all_steps()
    assert len(result.rows) == 7
    assert Path("killed/students/seed-0/labelled_only/student.safetensors").read_bytes() == before
    assert os.stat("killed/students/seed-0/labelled_only/row.json").st_mtime_ns == written


def test_notes_of_another_version_are_refused(tmp_path):
    from overproof.training.imitation_search import StoredResults

    (tmp_path / "notes.json").write_text('{"fingerprint": "one", "found": {"a": 1}}')
    with pytest.raises(InputError, match="written by another version of overproof"):
        StoredResults(folder=tmp_path, fingerprint="one")
