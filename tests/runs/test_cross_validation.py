"""Without a test labelled rows judge: out of fold, by students, teachers and choices that never saw their labels."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from rich.console import Console

from overproof.api import run
from overproof.commands.output.compare_table import page
from overproof.data.options import DataOptions
from overproof.deployment import export
from overproof.deployment.calibration_examples import choose_abstention
from overproof.errors import InputError
from overproof.evaluation.paired import CROSS_VALIDATED
from overproof.functional.intervals import accuracy_interval
from overproof.models import load_student
from overproof.progress import Silent
from overproof.report import write_comparison_report
from overproof.runs.comparison import compare, load_comparison
from overproof.runs.experiment import experiment_from, load
from overproof.runs.folder.result_file import read_result
from overproof.runs.pipeline import Run
from overproof.runs.plan import dry_run
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


def test_folds_are_by_group_and_the_same_whatever_the_order_of_the_file(tmp_path):
    world = blobs(num_examples=80, num_classes=3, seed=0)
    label, inputs = [f"class {each}" for each in world.label.tolist()], world.inputs.numpy()
    group = [f"patient {i // 4}" for i in range(80)]
    order = np.random.default_rng(0).permutation(80)
    found = []
    for name, rows in (("in order", np.arange(80)), ("shuffled", order)):
        labels = [label[i] if i < 48 else None for i in rows]
        file = write(tmp_path / f"{name}.parquet", labels, inputs[rows], [group[i] for i in rows])
        options = DataOptions.model_validate({"files": {"all": file}, "rows": {"labelled": "all"}, "folds": 4})
        found.append(read_roles(options))
    for seed in (0, 1):
        first, second = (each.for_seed(seed) for each in found)
        assert (first.labelled.ids == second.labelled.ids).all()
        assert torch.equal(first.fold, second.fold)
        pairs = set(zip(first.labelled.group.to_pylist(), first.fold.tolist(), strict=True))
        assert len(pairs) == len({group for group, _ in pairs}) == 12
        held = found[0].holding(2).for_seed(seed)
        assert not {*held.test.group.to_pylist()} & {*held.labelled.group.to_pylist(), *held.pool.group.to_pylist()}
        assert len(held.test) + len(held.labelled) == len(first.labelled) == 48
    few = DataOptions.model_validate({**options.model_dump(), "folds": 13, "group": "group"})
    with pytest.raises(
        InputError, match=r"cannot be cross-validated: 48 .* fewer than the 13 folds.*data.rows.test: 0"
    ):
        read_roles(few).for_seed(0)


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


def test_rows_that_a_saved_teacher_was_trained_on_cannot_judge(finished, source, tmp_path):
    saved = {"model": str(finished.folder / "students/seed-0/hard")}
    refused = Run(experiment=experiment(source, teacher=saved), folder=tmp_path / "run", progress=Silent())
    with pytest.raises(
        InputError, match=r"60 of 60 labelled rows cannot judge by cross-validation: the teacher .*hard"
    ):
        refused.check()
    assert not (tmp_path / "run").exists()
    # It was trained on the pool without its labels, and all of the pool is unlabelled here.
    labels = [None] * NUM_LABELLED + [f"class {i % 3}" for i in range(30)] + [None] * (NUM - NUM_LABELLED - 30)
    write(tmp_path / "others.parquet", labels)
    others = experiment({**source, "path": str(tmp_path / "others.parquet")}, teacher=saved, methods=["soft"])
    result = run(others, tmp_path / "others")
    assert result.judged_on.words() == "cross-validated over 30 labelled rows (2 folds)"
    # It is asked once: what a fold needs is taken from that.
    assert not any((tmp_path / "others/folds").glob("*/labels/*/*"))
    judged = next(row for row in result.rows if row.method == "teacher")
    roles = Run(experiment=others, folder=tmp_path / "others", progress=Silent()).seed_roles(0)
    right = load_student(saved["model"]).probs(roles.labelled).argmax(dim=1) == roles.labelled.label
    assert torch.equal(judged.correct, right)


def test_a_teacher_whose_answers_hold_the_labels_of_every_fold_is_refused(source, tmp_path):
    with pytest.raises(InputError, match=r"hold the labels of every fold.*set 'data.rows.test: 0' to train without"):
        experiment(source, rows={"validation": 10}, teacher={"answers": "llm.csv", "trained_on_labelled": True})


def test_without_any_label_the_classes_are_the_teachers_and_nothing_is_judged(finished, tmp_path):
    pool = {name: each for name, each in write(tmp_path / "pool.parquet", [None] * 90).items() if name != "label"}
    made = experiment_from(
        {
            **SMALL,
            "data": {"files": {"pool": {**pool, "ignore": ["y"]}}, "rows": {"labelled": 0}},
            "teacher": {"model": str(finished.folder / "students/seed-0/hard"), "published_accuracy": 0.7},
            "methods": [{"method": "dfnd", "options": {"select.budget": 40}}],
        }
    )
    assert made.data.rows["test"] == 0
    result = run(made, tmp_path / "run", report=True)
    assert result.class_names == finished.class_names
    assert result.judged_on.words() == "not judged"
    assert any("There are no labelled examples, so this run cannot give" in each for each in result.findings)
    with pytest.raises(InputError, match="is not judged, so nothing tells its rows apart: name one with --method"):
        export(tmp_path / "run", tmp_path / "exported")
    export(tmp_path / "run", tmp_path / "exported", method="dfnd")
    assert "Not judged: there is no test" in (tmp_path / "exported/README.md").read_text()


def test_the_card_says_how_it_was_judged_and_a_risk_what_to_bring(finished, tmp_path):
    export(finished.folder, tmp_path / "exported", method="hard", seed=1)
    card = (tmp_path / "exported/README.md").read_text()
    row = next(each for each in finished.rows if (each.method, each.seed) == ("hard", 1))
    right = row.metrics["accuracy"] * NUM_LABELLED
    low, high = accuracy_interval(right / CROSS_VALIDATED, NUM_LABELLED / CROSS_VALIDATED)
    assert f"(95 % interval {100 * low:.1f} % to {100 * high:.1f} %, 60 examples)" in card
    assert "Cross-validated over 60 labelled rows (2 folds): each is answered by" in card
    assert "distributed like the labelled rows" in card
    assert "split: cross-validation" in card
    folder = finished.folder / "students/seed-0/hard"
    needed = (
        r"has no validation role, and .* \(as --calibrate FILE --label y; 55 rows at least, for this risk .*\); "
        r"the cross-validated rows are none: .*; or write `validation: 55` or more below `data: rows:` in the exp"
    )
    with pytest.raises(InputError, match=needed):
        choose_abstention(load_student(folder), folder, None, risk=0.1, confidence=0.95)


def test_a_comparison_cross_validates_each_number_of_labels(source, tmp_path):
    group = {"data": {"files": {"all": source}, "rows": {"labelled": 20}, "folds": 2}, "compare": {"labels": [20, 30]}}
    (tmp_path / "e.yaml").write_text(yaml.safe_dump({**SMALL, **group}))
    compared = compare(load_comparison(tmp_path / "e.yaml"), tmp_path / "many")
    assert [each.judged_on.num_examples for each in compared.results] == [20, 30]
    content = json.loads((tmp_path / "many/compare.json").read_text())
    console = Console(width=100)
    with console.capture() as shown:
        console.print(page(content, tmp_path))
    assert "Cross-validated over the labelled rows of each run (2 folds)." in shown.get()
    write_comparison_report(tmp_path / "many")
    assert "ross-validated over 30 labelled rows (2 folds)" in (tmp_path / "many/report.html").read_text()


def test_a_plan_counts_the_trainings_of_the_folds(source):
    with_folds, without = dry_run(experiment(source)), dry_run(experiment(source, rows={"test": 0}))
    assert (with_folds.num_folds, without.num_folds) == (2, 0)
    assert with_folds.num_students == 3 * without.num_students
    assert ", 6 of them for the cross-validation (" in with_folds.sentence()
    assert dict(with_folds.lines())["cross-validation"].startswith("2 of 3 students")
    assert "cross-validation" not in dict(without.lines())
