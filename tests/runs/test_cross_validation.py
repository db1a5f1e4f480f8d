"""Without a test labelled rows judge: out of fold, by students, teachers and choices that never saw their labels."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from overproof.api import run
from overproof.data.options import DataOptions
from overproof.models import load_student
from overproof.progress import Silent
from overproof.runs.experiment import experiment_from, load
from overproof.runs.folder.result_file import read_result
from overproof.runs.pipeline import Run
from overproof.runs.read_roles import read_roles
from overproof.synthetic import blobs

NUM, NUM_LABELLED = 260, 60
SMALL = {
    "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 2},
    "student": {"name": "linear"},
    "train": {"epochs": 2, "batch_size": 32},
    "methods": ["hard"],
    "seeds": [0],
}


def write(path, labels, inputs=None, group=None):
    """One file of which the first rows have a label."""
    inputs = blobs(num_examples=len(labels), num_classes=3, seed=0).inputs.numpy() if inputs is None else inputs
    columns = {f"x{i}": pa.array(column) for i, column in enumerate(inputs.T)}
    columns |= {} if group is None else {"group": pa.array(group)}
    pq.write_table(pa.table({**columns, "y": pa.array(labels)}), path)
    return {"path": str(path), "label": "y", **({} if group is None else {"group": "group"})}


def experiment(source, *, rows=None, folds=2, data=None, **changes):
    wanted = {"files": {"all": source}, "rows": {"labelled": "all", **(rows or {})}, "folds": folds, **(data or {})}
    return experiment_from({"data": wanted, **SMALL, **changes})


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    label = blobs(num_examples=NUM, num_classes=3, seed=0).label.tolist()
    labels = [f"class {each}" for each in label[:NUM_LABELLED]] + [None] * (NUM - NUM_LABELLED)
    return write(tmp_path_factory.mktemp("one_file") / "all.parquet", labels)


@pytest.fixture(scope="module")
def finished(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cross_validated") / "run"
    return run(experiment(source, seeds=[0, 1]), folder, report=True)


def folds_of(result, seed):
    opened = Run(experiment=load(result.folder / "experiment.yaml"), folder=result.folder, progress=Silent())
    return opened._parts()[1:], opened.seed_roles(seed)


def files_of(folder):
    ignored = ("log.txt", "costs.jsonl", "inputs.json", "report.html")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ignored and "encoded" not in path.parts
    }


def test_the_table_is_of_the_out_of_fold_answers_of_all_labelled_rows(finished):
    parts, roles = folds_of(finished, 1)
    right = torch.zeros(NUM_LABELLED, dtype=torch.bool)
    for number, part in enumerate(parts):
        rows = (roles.fold == number).nonzero()[:, 0]
        student = load_student(part.folder / "students/seed-1/hard")
        right[rows] = student.probs(roles.labelled.take(rows)).argmax(dim=1) == roles.labelled.label[rows]
    row = next(each for each in finished.rows if (each.method, each.seed) == ("hard", 1))
    assert row.metrics["accuracy"] == pytest.approx(right.double().mean().item())
    assert torch.equal(row.correct, right)
    assert row.num_folds == 2
    assert row.metrics["num_examples"] == NUM_LABELLED


def test_every_seed_judges_the_same_rows_in_folds_of_its_own(finished):
    assert len({row.test for row in finished.rows}) == 1
    assert not torch.equal(folds_of(finished, 0)[1].fold, folds_of(finished, 1)[1].fold)


def test_the_students_of_the_run_are_trained_on_all_labels(finished):
    assert all(facts["num_labelled"] == NUM_LABELLED for facts in finished.students)
    assert (finished.folder / "students/seed-0/hard/student.json").exists()


def test_memorisers_are_at_chance_on_random_labels_of_repeated_rows(tmp_path):
    draw = np.random.default_rng(0)
    contents, labels = draw.normal(size=(80, 2)), draw.integers(2, size=80)
    repeated = np.repeat(np.arange(80), 3)
    files = {
        "labelled": write(tmp_path / "labelled.parquet", labels[repeated].tolist(), contents[repeated]),
        # The pool holds the labelled rows as well, without their labels.
        "pool": write(tmp_path / "pool.parquet", [None] * 80, contents),
    }
    tree, nearest = "sklearn.tree:DecisionTreeClassifier", "sklearn.neighbors:KNeighborsClassifier"
    made = experiment_from(
        {
            **SMALL,
            "data": {"files": files, "folds": 2},
            "teacher": {"model": nearest, "options": {"n_neighbors": 1}, "folds": 1},
            "student": {"name": tree},
        }
    )
    result = run(made, tmp_path / "run", allow_import=[tree, nearest])
    assert {row.method for row in result.rows} == {"teacher", "labelled_only", "soft", "hard"}
    for row in result.rows:
        assert row.metrics["num_examples"] == 80
        assert abs(row.metrics["accuracy"] - 0.5) < 0.15, row.method


def test_the_labels_of_a_fold_enter_nothing_of_it(tmp_path, monkeypatch):
    """With other labels in fold 0 its teacher, peers, search and students are the same, byte for byte."""
    monkeypatch.setattr("overproof.runs.roles._folds", lambda labelled, num, seed: torch.arange(len(labelled)) % num)
    world = blobs(num_examples=130, num_classes=2, seed=0)
    inputs, label = world.inputs.numpy(), world.label.numpy()[:40]
    pool = write(tmp_path / "pool.parquet", [None] * 90, inputs[40:])
    search = {"search.budget": 2, "search.rounds": 0, "search.methods": ["hard", "labelled_only"]}
    trained = []
    for name in ("as they are", "others"):
        file = write(tmp_path / f"{name}.parquet", label.tolist(), inputs[:40])
        files = {"labelled": file, "pool": pool}
        if name == "others":
            found = read_roles(DataOptions(files=files, folds=2))
            roles, ids = found.for_seed(0), found.fixed["labelled"].ids
            flipped = {each.tobytes() for each in roles.labelled.ids[roles.fold.numpy() == 0]}
            hit = np.array([each.tobytes() in flipped for each in ids])
            write(tmp_path / f"{name}.parquet", np.where(hit, 1 - label, label).tolist(), inputs[:40])
        made = experiment_from(
            {**SMALL, "data": {"files": files, "folds": 2}, "methods": [{"method": "auto", "options": search}]}
        )
        run(made, tmp_path / name / "run")
        trained.append(files_of(tmp_path / name / "run/folds/fold-0"))
        trained.append(files_of(tmp_path / name / "run/students"))
    assert trained[0].keys() == trained[2].keys()
    assert [name for name in trained[0] if trained[0][name] != trained[2][name]] == []
    assert trained[1]["seed-0/hard/student.safetensors"] != trained[3]["seed-0/hard/student.safetensors"]


def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(finished, source, tmp_path):
    made, folder = experiment(source, seeds=[0, 1]), tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    whole = files_of(folder)
    for lost in ("result.json", "tallies.json", "manifest.json"):
        (folder / lost).unlink()
    # Killed within fold 1, before its last student.
    (folder / "folds/fold-1/students/seed-0/hard/row.json").unlink()
    shutil.rmtree(folder / "folds/fold-1/students/seed-1")
    shutil.rmtree(folder / "folds/fold-1/labels/seed-1")
    kept = [folder / "students/seed-1/hard", folder / "folds/fold-0/students/seed-0/soft"]
    times = [(each / "row.json").stat().st_mtime_ns for each in kept]
    run(made, folder, report=True)
    assert files_of(folder) == whole
    assert times == [(each / "row.json").stat().st_mtime_ns for each in kept]


def test_without_an_estimate_nothing_is_judged_and_students_are_trained(source, tmp_path):
    result = run(experiment(source, rows={"test": 0}), tmp_path / "run", report=True)
    assert result.judged_on.words() == "not judged"
    assert (result.rows, result.summary) == ((), ())
    assert read_result(tmp_path / "run").judged_on == result.judged_on
    assert not (tmp_path / "run/folds").exists()
    assert (tmp_path / "run/students/seed-0/hard/student.json").exists()
    assert "Not judged" in (tmp_path / "run/report.html").read_text()


def test_the_kind_of_estimate_is_said_everywhere(finished):
    words = "cross-validated over 60 labelled rows (2 folds)"
    assert finished.judged_on.words() == words
    assert read_result(finished.folder).judged_on == finished.judged_on
    assert json.loads((finished.folder / "result.json").read_text())["judged_on"]["kind"] == "cross-validation"
    page = (finished.folder / "report.html").read_text()
    assert words in page
    assert "C" + words[1:] in page
    assert "2 seeds and the draw of the labelled rows" in page
