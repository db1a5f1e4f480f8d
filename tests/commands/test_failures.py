"""What ends a command before its time is one sentence and a code, and the same command then goes on: bad output paths,
a full disk, a training that diverges, an experiment that is refused after its folder was made."""

import contextlib
import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import overproof
from overproof.commands.main import main
from overproof.commands.output.failures import failure
from overproof.errors import InputError, NotFiniteError
from overproof.storage import atomic
from overproof.synthetic import blobs
from overproof.training.options import TrainOptions


def written_experiment(folder: Path) -> Path:
    """Three classes in two columns, the true classes as a file of hard answers, and an experiment on them."""
    world = blobs(num_examples=300, num_classes=3, seed=0)
    lines = [
        f"row-{row},{a:.6f},{b:.6f},{'rgb'[label]}"
        for row, ((a, b), label) in enumerate(zip(world.inputs[:, :2].tolist(), world.label.tolist(), strict=True))
    ]
    (folder / "all.csv").write_text("\n".join(["key,a,b,y", *lines]) + "\n")
    hard = [f"row-{row},{'rgb'[label]}" for row, label in enumerate(world.label.tolist())]
    (folder / "hard.csv").write_text("\n".join(["id,label", *hard]) + "\n")
    content = {
        "data": {
            "files": {"all": {"path": str(folder / "all.csv"), "label": "y", "id": "key"}},
            "rows": {"labelled": 40, "pool": 150, "test": 80},
        },
        "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 2},
        "student": {"name": "linear"},
        "train": {"epochs": 1, "batch_size": 64},
        "methods": ["soft"],
        "seeds": [0],
    }
    (folder / "e.yaml").write_text(yaml.safe_dump(content))
    return folder / "e.yaml"


@pytest.fixture
def experiment(tmp_path):
    return written_experiment(tmp_path)


def refused(capsys, *words: object) -> tuple[str, int]:
    """The one sentence and the code with which a command ends."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, words), "--quiet"])
    error = capsys.readouterr().err
    assert error.startswith("overproof: ")
    assert len(error.splitlines()) == 1
    return error, stopped.value.code


def folder_bytes(folder: Path) -> dict[str, bytes]:
    timed = ("log.txt", "costs.jsonl", "report.html")
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in timed)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# --- output paths


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run, and the file it was made from."""
    home = tmp_path_factory.mktemp("finished")
    main(["run", str(written_experiment(home)), "--out", str(home / "run"), "--quiet"])
    return home


WRITERS = {
    "run": ["run", "{e}", "--out", "{out}"],
    "label": ["label", "{e}", "--out", "{out}"],
    "compare": ["compare", "{e}", "--labels", "30,40", "--out", "{out}"],
    "assess": ["assess", "{e}", "--out", "{out}"],
    "demo": ["demo", "--quick", "--out", "{out}"],
    "export": ["export", "{run}", "--method", "soft", "--out", "{out}"],
    "predict": ["predict", "{run}/students/seed-0/soft", "{csv}", "--out", "{out}/p.csv"],
    "select": ["select", "{run}/labels/seed-0/pool", "--rule", "everything", "--out", "{out}/s.parquet"],
    "report": ["report", "{run}", "--out", "{out}/r.html"],
    "assess --html": ["assess", "{run}", "--html", "{out}/a.html"],
}


@pytest.mark.parametrize("command", WRITERS)
@pytest.mark.parametrize("place", ["a file", "below a file", "not allowed"])
def test_a_bad_output_path_is_a_sentence_before_any_work(finished, tmp_path, capsys, monkeypatch, command, place):
    (tmp_path / "file").write_text("mine")
    out = {"a file": tmp_path / "file", "below a file": tmp_path / "file/deep", "not allowed": tmp_path / "shut/deep"}
    if place == "not allowed":
        # Whoever runs the tests may be allowed everything.
        allowed = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / "shut" and allowed(path, mode))
        (tmp_path / "shut").mkdir()
    names = {
        "e": finished / "e.yaml",
        "csv": finished / "all.csv",
        "run": finished / "run",
        "out": out[place],
    }
    before = folder_bytes(finished)
    error, code = refused(capsys, *(word.format(**names) for word in WRITERS[command]))
    assert code == 2
    assert str(out[place]) in error
    assert (tmp_path / "file").read_text() == "mine"
    assert not list(tmp_path.rglob("*.partial"))
    assert folder_bytes(finished) == before


def test_a_folder_in_the_place_of_a_file(finished, tmp_path, capsys):
    (tmp_path / "p.csv").mkdir()
    student = finished / "run/students/seed-0/soft"
    error, code = refused(capsys, "predict", student, finished / "all.csv", "--out", tmp_path / "p.csv")
    assert (code, "is a folder" in error) == (2, True)


# --- the disk


@contextlib.contextmanager
def full_after(monkeypatch, num_writes: int):
    """A disk that has room for so many files."""
    written, sync = [0], os.fsync

    def fsync(handle: int) -> None:
        written[0] += 1
        if written[0] > num_writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    with monkeypatch.context() as patched:
        patched.setattr("overproof.storage.atomic.os.fsync", fsync)
        yield


FULL_AFTER = {"run": (1, 4, 20), "compare": (0, 30), "assess": (8,), "export": (0, 4), "predict": (0,), "select": (0,)}
"""For each command after how many files the disk is full."""


@pytest.mark.parametrize(
    "command", [pytest.param(each, marks=pytest.mark.slow) if each == "compare" else each for each in FULL_AFTER]
)
def test_a_full_disk_is_a_sentence_and_the_same_command_goes_on(finished, tmp_path, capsys, monkeypatch, command):
    names = {"e": finished / "e.yaml", "csv": finished / "all.csv", "run": finished / "run"}
    whole = [word.format(out=tmp_path / "whole/o", **names) for word in WRITERS[command]]
    main([*whole, "--quiet"])
    wanted = folder_bytes(tmp_path / "whole")
    for num_writes in FULL_AFTER[command]:
        place = tmp_path / f"full-{num_writes}"
        words = [word.format(out=place / "o", **names) for word in WRITERS[command]]
        with full_after(monkeypatch, num_writes):
            error, code = refused(capsys, *words)
            assert code == 1
            assert "the disk is full; free some space and run the same command again to resume." in error
        assert not list(place.rglob("*.partial"))
        main([*words, "--quiet"])
        assert folder_bytes(place) == wanted


def test_what_the_system_and_other_writers_raise_becomes_a_sentence():
    assert failure(OSError(errno.EROFS, "Read-only file system", "a")) == (
        "'a' cannot be read or written: Read-only file system.",
        2,
    )
    assert failure(OSError(errno.ENOSPC, "No space left on device"))[1] == 1
    assert "disk is full" in failure(RuntimeError("I/O error: No space left on device (os error 28)"))[0]
    assert failure(MemoryError())[1] == 1
    assert failure(ValueError("a fault of the program")) is None


def test_a_failed_write_names_the_file_that_was_wanted(tmp_path, monkeypatch):
    with full_after(monkeypatch, 0), pytest.raises(OSError, match="wanted") as stopped:
        atomic.write_text(tmp_path / "wanted", "text")
    assert stopped.value.filename == str(tmp_path / "wanted")
    assert list(tmp_path.iterdir()) == []


# --- trainings that diverge


@pytest.mark.parametrize("student", ["linear", "mlp"])
def test_a_training_that_diverges_names_step_rate_and_option(experiment, capsys, student):
    folder = experiment.parent / "run"
    changes = ["--set", f"student.name={student}", "--set", "train.learning_rate=1e30"]
    error, code = refused(capsys, "run", experiment, "--out", folder, *changes)
    assert code == 2
    for words in ("Row 'labelled_only', seed 0", "step 2 of 3", "learning rate 1e+30", "lower 'train.learning_rate'"):
        assert words in error
    assert not (folder / "result.json").exists()
    assert not list((folder / "students").rglob("*.*"))
    # The correction that it names is not met by another refusal.
    main(["run", str(experiment), "--out", str(folder), "--quiet", "--set", "train.learning_rate=0.01"])
    rows = json.loads((folder / "result.json").read_text())["rows"]
    assert all(np.isfinite(value) for row in rows for value in row["metrics"].values())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["teacher.model=mlp", "teacher.train.learning_rate=1e30"], ["Teacher 'mlp'", "'teacher.train.learning_rate'"]),
        (["teacher.model=student", "train.learning_rate=1e30"], ["Teacher 'linear'", "lower 'train.learning_rate'"]),
        (
            ["methods=[{method: soft, rounds: 1, train: {learning_rate: 1e30}}]"],
            ["Row 'soft'", "'train.learning_rate' of row 'soft'"],
        ),
    ],
)
def test_teachers_peers_and_rows_name_their_own_option(experiment, capsys, changes, words):
    options = [word for change in changes for word in ("--set", change)]
    error, code = refused(capsys, "run", experiment, "--out", experiment.parent / "run", *options)
    assert code == 2
    assert all(word in error for word in words)


def test_weights_that_overflow_in_the_last_step_are_no_student():
    world = blobs(num_examples=60, num_classes=3, seed=0)
    with pytest.raises(NotFiniteError, match="weight 'weight' is not finite at step 1 of 1"):
        overproof.distill(
            torch.nn.Linear(world.inputs.shape[1], 3), world.inputs[20:], world.teacher_probs[20:], world.inputs[:20],
            world.label[:20], world.teacher_probs[:20], method="hard",
            train=TrainOptions(epochs=1, batch_size=400, learning_rate=1e39, early_stop_epochs=0),
        )  # fmt: skip


def test_scores_that_are_not_finite_are_no_predictions():
    student = overproof.models.build("linear", [overproof.data.from_arrays(np.eye(3))], class_names=["a", "b"], seed=0)
    student.module[-1].bias.data[1] = float("nan")
    with pytest.raises(NotFiniteError, match="a score of nan for row 0"):
        student.probs(np.eye(3))


# --- the folder of an experiment that was refused


def test_a_refused_first_run_does_not_block_its_own_correction(experiment, capsys):
    folder = experiment.parent / "run"
    answers = ["--set", "teacher.model=answers", "--set", f"teacher.answers={experiment.parent / 'hard.csv'}"]
    error, code = refused(capsys, "run", experiment, "--out", folder, *answers, "--set", "teacher.flip_share=0.3")
    assert code == 2
    assert "'teacher.flip_share' is 0.3" in error
    assert "rate" not in error.replace("separate", "")
    assert "falling_in_margin" not in error
    advice = error[error.index("teacher.spoil=") : error.index("',", error.index("teacher.spoil="))]
    main(["run", str(experiment), "--out", str(folder), "--quiet", *answers, "--set", advice])
    assert overproof.runs.experiment.load(folder / "experiment.yaml").teacher.spoil.share == 0.3
    # Students are work, which no other experiment replaces.
    error, code = refused(capsys, "run", experiment, "--out", folder, *answers)
    assert "holds another experiment" in error


def test_answers_of_another_teacher_are_not_replaced(experiment, capsys):
    folder = experiment.parent / "run"
    main(["label", str(experiment), "--out", str(folder), "--quiet"])
    error, _ = refused(capsys, "run", experiment, "--out", folder, "--set", "teacher.folds=3")
    assert "holds another experiment" in error
    before = {name: data for name, data in folder_bytes(folder).items() if name.startswith("labels/seed-0")}
    main(["run", str(experiment), "--out", str(folder), "--quiet", "--set", "train.epochs=2"])
    after = folder_bytes(folder)
    assert {name: after[name] for name in before} == before


def test_a_comparison_that_diverged_can_be_corrected(experiment, capsys):
    words = ["compare", experiment, "--labels", "30,40", "--out", experiment.parent / "many"]
    error, _ = refused(capsys, *words, "--set", "train.learning_rate=1e30")
    assert "lower 'train.learning_rate'" in error
    main([*map(str, words), "--quiet"])
    error, _ = refused(capsys, *words, "--set", "train.epochs=2")
    assert "holds a comparison of another experiment" in error


def test_one_value_is_a_list_of_one(experiment):
    content = yaml.safe_load(experiment.read_text())
    content |= {"seeds": [3], "methods": "wd", "teacher": {"model": "answers", "answers": "hard.csv"}}
    found = overproof.runs.experiment.experiment_from(content)
    assert (found.seeds, found.methods[0].method, found.teacher.answers) == ((3,), "wd", ("hard.csv",))
    content["data"]["files"]["all"]["ignore"] = "a"
    with pytest.raises(InputError, match=r"must be a list: \[a\]"):
        overproof.runs.experiment.experiment_from(content)


@pytest.mark.parametrize("content", [b"{", b"\xff{}", b"[1]", b"{}", b""])
def test_a_damaged_row_is_named_with_what_to_do(finished, tmp_path, capsys, content):
    shutil.copytree(finished / "run", tmp_path / "run")
    row = tmp_path / "run/students/seed-0/soft/row.json"
    row.write_bytes(content)
    error, code = refused(capsys, "evaluate", tmp_path / "run")
    assert code == 2
    assert f"{row} has {len(content)} bytes, and manifest.json beside it lists" in error
    assert "delete it and give the command that wrote it again" in error
    # As an earlier version wrote it.
    (row.parent / "manifest.json").unlink()
    about = row.parent / "student.json"
    described = json.loads(about.read_text())
    del described["manifest"]
    about.write_text(json.dumps(described))
    error, code = refused(capsys, "evaluate", tmp_path / "run")
    assert code == 2
    assert str(row) in error
    assert "is damaged" in error


def test_a_teacher_trained_on_all_labels_is_not_assessed_on_them(experiment, tmp_path, capsys):
    error, code = refused(capsys, "assess", experiment, "--set", "teacher.folds=1", "--out", tmp_path / "run")
    assert code == 2
    assert "teacher.folds 2 or more" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["run", "experiment.yaml", "--dry-run"], "--out is missing: Output folder."),
        (["export"], "STUDENT_OR_RUN is missing: "),
        (["init", "data.csv", "--answer", "llm.csv"], "No such option: --answer; did you mean --answers"),
    ],
)
def test_what_is_missing_or_misspelled_is_called_as_it_is_typed(typed, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(typed)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"overproof: {said}")
