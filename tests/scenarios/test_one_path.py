"""One path: the command line and Python write the same bytes, a kill costs seconds, and nothing is asked twice."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
import yaml

import overproof
from overproof import teachers
from overproof.api import run
from overproof.commands.main import main
from overproof.errors import InputError
from overproof.runs.experiment import experiment_from
from overproof.runs.pipeline import open_run
from overproof.synthetic import blobs


def write_blobs(path: Path, num: int = 400, seed: int = 0) -> None:
    world = blobs(num_examples=num, num_classes=3, seed=seed)
    columns = {f"x{i}": pyarrow.array(column) for i, column in enumerate(world.inputs.T.numpy())}
    names = np.array(["red", "green", "blue"])
    columns["colour"] = pyarrow.array(names[world.label.numpy()])
    columns["key"] = pyarrow.array([f"row-{i}" for i in range(num)])
    pyarrow.csv.write_csv(pyarrow.table(columns), path)


@pytest.fixture
def content(tmp_path):
    write_blobs(tmp_path / "blobs.csv")
    return {
        "data": {
            "files": {"all": {"path": str(tmp_path / "blobs.csv"), "label": "colour", "id": "key"}},
            "rows": {"labelled": 60, "pool": 200, "test": 100},
        },
        "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 3},
        "student": {"name": "mlp", "options": {"hidden": [16]}},
        "train": {"epochs": 2, "batch_size": 32},
        "methods": ["slam", "wd"],
        "seeds": [0, 1],
    }


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """All but what tells the time: the log, the costs, and the report that shows them."""
    timed = ("log.txt", "costs.jsonl", "report.html")
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in timed)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_cli_and_python_write_the_same_bytes(content, tmp_path, capsys):
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    main(["run", str(tmp_path / "e.yaml"), "--out", str(tmp_path / "cli"), "--set", "train.epochs=3", "--json"])
    printed = json.loads(capsys.readouterr().out)
    overproof.run(experiment_from(content, ["train.epochs=3"]), tmp_path / "python")
    assert folder_bytes(tmp_path / "cli") == folder_bytes(tmp_path / "python")
    # The command adds what the run decides; the rest is result.json.
    assert printed.pop("decision")["deploy"]
    assert printed == json.loads((tmp_path / "python/result.json").read_text())


def test_a_run_holds_every_row_and_a_second_call_asks_nobody(content, tmp_path, monkeypatch):
    result = run(experiment_from(content), tmp_path / "run")
    assert {row.method for row in result.rows} == {"teacher", "labelled_only", "hard", "soft", "slam", "wd", "oracle"}
    assert len(result.rows) == 14
    written = json.loads((tmp_path / "run/result.json").read_text())
    assert {each["method"] for each in written["summary"] if each["verdict"]} == {"labelled_only", "slam", "wd"}
    assert all(0 <= row["metrics"]["accuracy"] <= 1 for row in written["rows"])
    before = folder_bytes(tmp_path / "run")

    def refuse(*arguments, **options):
        raise AssertionError("asked twice")

    monkeypatch.setattr(teachers.Estimator, "fit", refuse)
    monkeypatch.setattr("overproof.runs.students.train_student", refuse)
    run(experiment_from(content), tmp_path / "run")
    assert folder_bytes(tmp_path / "run") == before


def test_the_steps_one_by_one_are_the_run(content, tmp_path, capsys):
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    run(experiment_from(content), tmp_path / "whole")
    main(["label", str(tmp_path / "e.yaml"), "--out", str(tmp_path / "steps")])
    with pytest.raises(InputError, match="not trained yet"):
        open_run(tmp_path / "steps").evaluate()
    main(["distill", str(tmp_path / "steps")])
    main(["evaluate", str(tmp_path / "steps")])
    assert folder_bytes(tmp_path / "steps") == folder_bytes(tmp_path / "whole")
    assert "verdict" in capsys.readouterr().out


@pytest.mark.parametrize(
    "kill_when",
    [pytest.param("labels/seed-0/pool/manifest.json", marks=pytest.mark.slow), "students/seed-0/hard/row.json"],
)
def test_kill_and_resume_give_the_same_bytes(content, tmp_path, kill_when):
    content["train"]["checkpoint_seconds"] = 0.0
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "overproof", "run", str(tmp_path / "e.yaml"), "--out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.Popen([*command, str(tmp_path / "killed")], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (tmp_path / "killed" / kill_when).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed/result.json").exists()
    for name in ("killed", "whole"):
        done = subprocess.run([*command, str(tmp_path / name)], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert folder_bytes(tmp_path / "killed") == folder_bytes(tmp_path / "whole")


def test_what_a_kill_left_half_written_is_swept_away(content, tmp_path):
    """A kill inside a write leaves its temporary file: the next call removes it, before the first file as after it."""
    folder = tmp_path / "run"
    folder.mkdir()
    leftovers = [folder / ".experiment.yaml.x1.partial", folder / "labels/.manifest.json.x2.partial"]
    leftovers[0].write_text("half")
    run(experiment_from(content, ["methods=[hard]", "seeds=[0]"]), folder)
    before = folder_bytes(folder)
    leftovers[1].write_text("half")
    run(experiment_from(content, ["methods=[hard]", "seeds=[0]"]), folder)
    assert folder_bytes(folder) == before
    assert not any(leftover.exists() for leftover in leftovers)


@pytest.mark.slow
def test_two_processes_write_one_run(content, tmp_path):
    """Under torchrun: one asks and writes, both train; the same rows as alone, up to rounding."""
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29513"]
    command = [*torchrun, "-m", "overproof", "run", str(tmp_path / "e.yaml"), "--out", str(tmp_path / "two")]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    run(experiment_from(content), tmp_path / "one")
    one, two = (json.loads((tmp_path / name / "result.json").read_text())["rows"] for name in ("one", "two"))
    for alone, together in zip(one, two, strict=True):
        assert alone["metrics"]["accuracy"] == pytest.approx(together["metrics"]["accuracy"], abs=0.03)


def test_another_experiment_in_the_folder_is_refused(content, tmp_path):
    open_folder = tmp_path / "run"
    run(experiment_from(content, ["methods=[hard]"]), open_folder)
    with pytest.raises(InputError, match=r"holds another experiment: train\.epochs is \d+ there and 9 here; choose"):
        run(experiment_from(content, ["methods=[hard]", "train.epochs=9"]), open_folder)
    # A run from before an option was added goes on: what its file does not say is the default. It recorded no inputs.
    (open_folder / "inputs.json").unlink()
    (open_folder / "experiment.yaml").write_text(yaml.safe_dump({**content, "methods": ["hard"]}))
    assert run(experiment_from(content, ["methods=[hard]"]), open_folder).folder == open_folder


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["data.files.all.path=missing.csv"], "missing.csv"),
        (["data.files.all.label=color"], "colour"),
        (["data.rows.pool=5000"], "5000"),
        (["data.rows.labelled=2"], "labelled"),
        (["teacher.model=minilm"], "reads text"),
        (["teacher.model=sklearn.linear_model:LogisticRegresion"], "nearest: 'LogisticRegression'"),
        (["teacher.options.C2=1"], "teacher.options"),
        (["teacher.model=sklearn.linear_model:Ridge"], "predict_proba"),
        (["student.name=mpl"], "mlp"),
        (["student.options.hiden=[3]"], "hidden"),
        (["student.name=cnn"], "table"),
        (["teacher.answers=[nowhere.parquet]", "teacher.model=answers"], "nowhere.parquet"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_exit_code_2(content, tmp_path, capsys, changes, words):
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit) as stopped:
        main(
            ["run", str(tmp_path / "e.yaml"), "--out", str(tmp_path / "run")]
            + [word for change in changes for word in ("--set", change)]
        )
    said = capsys.readouterr().err.strip()
    assert stopped.value.code == 2
    assert words in said
    assert "\n" not in said
    assert said.endswith(".")
    assert not (tmp_path / "run/result.json").exists()


def answers_file(content, tmp_path, order):
    """Hard labels of a teacher that is right but for every fifth row, probabilities in the given class order."""
    world = blobs(num_examples=400, num_classes=3, seed=0)
    names = ["red", "green", "blue"]
    label = [(y + 1) % 3 if i % 5 == 0 else y for i, y in enumerate(world.label.tolist())]
    columns = {"id": [f"row-{i}" for i in range(400)]}
    columns.update({name: [0.8 if names[y] == name else 0.1 for y in label] for name in order})
    path = tmp_path / "answers.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return {**content, "teacher": {"answers": [str(path)]}, "methods": ["slam"], "seeds": [0]}


def test_a_file_of_answers_is_a_teacher_and_columns_go_by_name(content, tmp_path):
    accuracies = []
    for order in (["red", "green", "blue"], ["blue", "red", "green"]):
        folder = tmp_path / order[0]
        folder.mkdir()
        result = run(experiment_from(answers_file(content, folder, order)), folder / "run")
        accuracies.append({row.method: row.metrics["accuracy"] for row in result.rows})
    assert accuracies[0] == accuracies[1]
    assert 0.7 < accuracies[0]["teacher"] < 0.9


def test_a_file_of_answers_with_a_missing_class_is_refused(content, tmp_path):
    with pytest.raises(InputError, match="blue"):
        run(experiment_from(answers_file(content, tmp_path, ["red", "green"])), tmp_path / "run")


def test_repetitions_between_training_and_test_are_found(content, tmp_path):
    for name, rows in (("train.csv", slice(0, 300)), ("test.csv", slice(290, 400))):
        table = pyarrow.csv.read_csv(tmp_path / "blobs.csv")
        pyarrow.csv.write_csv(table.slice(rows.start, rows.stop - rows.start), tmp_path / name)
    source = {"label": "colour", "id": "key"}
    content["data"] = {
        "files": {
            "all": {"path": str(tmp_path / "train.csv"), **source},
            "test": {"path": str(tmp_path / "test.csv"), **source},
        },
        "rows": {"labelled": 60},
    }
    result = run(experiment_from(content, ["methods=[hard]", "seeds=[0]"]), tmp_path / "report")
    assert any(finding.startswith("10 train examples are also in the test") for finding in result.findings)
    result = run(experiment_from(content, ["methods=[hard]", "seeds=[0]", "data.duplicates=drop"]), tmp_path / "drop")
    assert not any("are also in the test" in finding for finding in result.findings)


def test_predict_writes_answers_that_can_teach(content, tmp_path, capsys):
    run(experiment_from(content, ["methods=[slam]", "seeds=[0]", "train.epochs=30"]), tmp_path / "run")
    student = tmp_path / "run/students/seed-0/slam"
    written = tmp_path / "answers.parquet"
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(student), str(tmp_path / "blobs.csv"), "--out", str(tmp_path / "a.txt"), "--id", "key"])
    assert stopped.value.code == 2
    capsys.readouterr()
    main(["predict", str(student), str(tmp_path / "blobs.csv"), "--out", str(written), "--id", "key"])
    table = pyarrow.parquet.read_table(written)
    assert table.column_names == ["id", "label", "blue", "green", "red"]
    assert table["id"].to_pylist() == [f"row-{i}" for i in range(400)]
    truth = pyarrow.csv.read_csv(tmp_path / "blobs.csv")["colour"].to_pylist()
    assert np.mean([a == b for a, b in zip(table["label"].to_pylist(), truth, strict=True)]) > 0.7


def test_cite_prints_exactly_what_ran(content, tmp_path, capsys):
    run(experiment_from(content, ["methods=[slam]", "seeds=[0]"]), tmp_path / "run")
    main(["cite", str(tmp_path / "run")])
    printed = capsys.readouterr().out
    assert "2302.03806" in printed
    assert "1503.02531" in printed
    assert "2210.06711" not in printed


def test_methods_are_listed(capsys):
    main(["methods"])
    assert "slam" in capsys.readouterr().out
    main(["methods", "slam", "--quiet"])
    assert "StudentLabelMixing" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["ru"], ["run"], ["run", "x.yaml"], ["predict", "a", "b", "--out", "c.csv"]])
def test_words_that_make_no_command_exit_with_2(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_run_may_have_no_pool(content, tmp_path):
    """Then nothing is distilled, and an epoch is a pass over the labelled examples."""
    changes = ["data.rows.pool=0", "methods=[labelled_only]", "seeds=[0, 1]", "train.epochs=60"]
    result = run(experiment_from(content, changes), tmp_path / "run")
    assert {row.method for row in result.rows} == {"teacher", "labelled_only", "born_again"}
    students = json.loads((tmp_path / "run/result.json").read_text())["students"]
    assert [(each["num_labelled"], each["num_pool"]) for each in students] == [(60, 0)] * 4
    first, second = (
        pyarrow.parquet.read_table(part) for part in sorted((tmp_path / "run").rglob("labelled/*.parquet"))
    )
    assert not first.equals(second)
    assert all(row.metrics["accuracy"] > 0.7 for row in result.rows)


def test_a_run_may_have_no_labelled_examples(content, tmp_path):
    """Then the classes are those of the test, the teacher is brought, and nothing is said of its errors."""
    content = answers_file(content, tmp_path, ["red", "green", "blue"])
    content = {**content, "data": {**content["data"], "rows": {"labelled": 0, "pool": 200, "test": 100}}}
    result = run(experiment_from(content, ["methods=[hard]", "train.epochs=20"]), tmp_path / "run")
    assert {row.method for row in result.rows} == {"teacher", "hard", "soft", "oracle"}
    assert not any("Out of sample" in finding for finding in result.findings)
    assert {row.method: row.metrics["accuracy"] for row in result.rows}["hard"] > 0.6


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["data.rows.labelled=0"], "bring its answers"),
        (["data.rows.labelled=0", "data.rows.pool=0"], "both .labelled. and .pool. to 0"),
        (["data.rows.validation=0"], "may be empty"),
        (["data.rows.labelled=0", "methods=[labelled_only]"], "'labelled_only'"),
        (["data.rows.pool=0", "data.files.pool.path=pool.csv"], "leave one out"),
    ],
)
def test_roles_that_are_missing_are_named(content, tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        run(experiment_from(content, changes), tmp_path / "run")
    assert not (tmp_path / "run/result.json").exists()


def test_assess_looks_before_any_student_is_trained(content, tmp_path, capsys):
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit) as stopped:
        main(["assess", str(tmp_path / "e.yaml")])
    assert stopped.value.code == 2
    assert "--out" in capsys.readouterr().err
    main(["assess", str(tmp_path / "e.yaml"), "--out", str(tmp_path / "run")])
    assert "\nRecommendation: " in capsys.readouterr().out
    assert not (tmp_path / "run/students").exists()
    main(["assess", str(tmp_path / "run"), "--json", "--html", str(tmp_path / "teacher.html")])
    assert "Recommendation: " in (tmp_path / "teacher.html").read_text()
    told = json.loads(capsys.readouterr().out)
    assert told["num_labelled"] == 60
    assert told["num_pool"] == 200
    assert told["accuracy"]["low"] < told["accuracy"]["mean"] < told["accuracy"]["high"]


def test_a_run_looks_at_its_folder_once(content, tmp_path, monkeypatch):
    """Three steps, one sweep and one reading of experiment.yaml; a step called alone looks for itself."""
    swept = []
    monkeypatch.setattr(overproof.runs.folder.resume.atomic, "remove_leftovers", swept.append)
    run(experiment_from(content, ["methods=[hard]", "seeds=[0]", "train.epochs=1"]), tmp_path / "run")
    assert swept == [tmp_path / "run"]
    open_run(tmp_path / "run").evaluate()
    assert len(swept) == 2
