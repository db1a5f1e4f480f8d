"""The promise of `predict --risk` against known truth: the rows that a student was made from are recognised by content,
wherever its folder is and whatever its teacher was."""

import json
import shutil
import sys
import types

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import overproof
from overproof.commands.main import main
from overproof.data import Source, from_arrays
from overproof.deployment.calibration_examples import choose_abstention
from overproof.errors import InputError
from overproof.models import ModelSpec, build, load_student
from overproof.runs.experiment import experiment_from
from overproof.runs.read_roles import read_roles
from overproof.storage.manifest import MANIFEST
from overproof.synthetic import blobs

TREE = ModelSpec(name="sklearn.tree:DecisionTreeClassifier", options={"random_state": 0})


def coins(seed, num):
    """Eight numbers, and a class that follows the first of them in 85 of 100 cases."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(num, 8)).astype(np.float32)
    return inputs, ((inputs[:, 0] > 0) ^ (rng.random(num) < 0.15)).astype(int)


def write(path, inputs, label):
    names = {f"f{i}": column for i, column in enumerate(inputs.T)}
    pq.write_table(pa.table({**names, "class": np.array(["no", "yes"])[label]}), path)
    return Source(path=str(path), label="class")


def memoriser(seed, num=300):
    inputs, label = coins(seed, num)
    probs = np.full((num, 2), 0.5, np.float32)
    result = overproof.distill(
        TREE, inputs[:1], probs[:1], inputs, label, probs, method="labelled_only", class_names=["no", "yes"]
    )
    return result.student, inputs, label


def test_a_memorising_student_keeps_its_promise_on_a_file_that_holds_its_training_rows(tmp_path):
    """It is never wrong on the 300 rows it was trained on, a third of the file, and in a quarter of new ones."""
    new, truth = coins(10_000, 20_000)
    promised, broken, naive, refusals = 0, 0, 0, []
    for seed in range(20):
        student, inputs, label = memoriser(seed)
        more, more_label = coins(100 + seed, 600)
        both, both_label = np.concatenate([inputs, more]), np.concatenate([label, more_label])
        student.save(tmp_path / "student")
        source = write(tmp_path / "both.parquet", both, both_label)
        error = (student.probs(new).argmax(dim=1).numpy() != truth).mean()
        on_file = (student.probs(both).argmax(dim=1).numpy() != both_label).mean()
        assert 0.2 < error < 0.35
        # A risk that the whole file seems to keep and the student does not.
        risk = error - 0.02
        naive += on_file < risk - 0.04
        for asked in (risk, error + 0.06):
            try:
                found, left_out = choose_abstention(
                    load_student(tmp_path / "student"), tmp_path / "student", source, risk=asked, confidence=0.9
                )
            except InputError as refused:
                refusals.append(str(refused))
                continue
            promised += 1
            assert (left_out.num_left_out, left_out.roles) == (300, {"labelled examples": 300, "pool": 1})
            answered = found.accepts(student.probs(new).amax(dim=1).numpy())
            broken += (student.probs(new).argmax(dim=1).numpy() != truth)[answered].mean() > asked
    assert naive == 20
    assert all("300 of the 900 in the file were left out" in refusal for refusal in refusals)
    assert promised >= 12
    assert broken <= 2


def test_rows_of_one_group_count_once_and_those_of_a_training_row_are_left_out(tmp_path, capsys):
    """Of thirty patients with twenty visits each the outcome is the patient's: thirty examples, not six hundred."""
    student, inputs, label = memoriser(0)
    student.save(tmp_path / "student")
    more, more_label = coins(1, 30)
    visits = np.repeat(more, 20, axis=0) + np.random.default_rng(2).normal(0, 0.001, (600, 8)).astype(np.float32)
    both, both_label = np.concatenate([inputs[:1], visits]), np.concatenate([label[:1], np.repeat(more_label, 20)])
    write(tmp_path / "visits.parquet", both, both_label)
    table = pq.read_table(tmp_path / "visits.parquet")
    # The first patient has a visit that the student was trained on.
    patient = np.concatenate([[0], np.repeat(np.arange(30), 20)])
    pq.write_table(table.append_column("patient", pa.array(patient)), tmp_path / "visits.parquet")

    def predict(*words):
        main(["predict", str(tmp_path / "student"), str(tmp_path / "visits.parquet"), *words])

    asked = ["--out", str(tmp_path / "p.parquet"), "--risk", "0.6", "--calibrate", str(tmp_path / "visits.parquet")]
    predict(*asked, "--label", "class", "--group", "patient")
    capsys.readouterr()
    promise = json.loads((tmp_path / "p.risk.json").read_text())
    assert (promise["num_calibration"], promise["num_left_out"], promise["num_left_out_by_group"]) == (29, 21, 20)
    predict(*asked, "--label", "class")
    shown = capsys.readouterr().err
    # Without the column, visits are near copies of each other.
    promise = json.loads((tmp_path / "p.risk.json").read_text())
    assert (promise["num_calibration"], promise["num_left_out"], promise["num_near_copies"]) == (30, 1, 570)
    assert "1 labelled example was left out" in shown
    assert "570 labelled examples are near copies of others and do not count" in shown
    with pytest.raises(SystemExit) as stopped:
        predict("--out", str(tmp_path / "q.parquet"), "--risk", "0.6", "--group", "patient")
    assert stopped.value.code == 2
    assert "--group names a column of --calibrate, which is not given" in capsys.readouterr().err


HIDDEN = {
    "nothing": {},
    "a column that it was not given": {"visit": np.arange(1200)},
    "one that was constant at fitting": {"constant": np.arange(1200) / 7},
    "one that was empty": {"empty": [f"note {row}" for row in range(1200)]},
    "categories that it does not know": {"colour": [f"blue {row}" for row in range(1200)]},
}


@pytest.mark.parametrize("hidden", HIDDEN)
def test_what_the_student_does_not_read_hides_no_copy_of_a_calibration_row(tmp_path, hidden):
    """Twelve rows a hundred times each are twelve; thirty rows in two near copies twenty times each are thirty."""
    inputs, _ = coins(0, 300)
    words = np.array(["red", "green"])[np.arange(300) % 2]

    def table(inputs, **columns):
        start = {"constant": np.ones(len(inputs)), "empty": pa.nulls(len(inputs)), "colour": ["blue"] * len(inputs)}
        return pa.table({**{f"f{i}": column for i, column in enumerate(inputs.T)}, **start, **columns})

    training = from_arrays(table(inputs, colour=words), missing="allow")
    student = build(ModelSpec(name="linear"), [training], class_names=["no", "yes"], seed=0)
    student.trained_on(training).save(tmp_path / "student")

    def counted(inputs, label, times):
        rows = table(np.repeat(inputs, times, axis=0), **HIDDEN[hidden])
        rows = rows.append_column("class", pa.array(np.array(["no", "yes"])[np.repeat(label, times)]))
        pq.write_table(rows, tmp_path / "c.parquet")
        source = Source(path=str(tmp_path / "c.parquet"), label="class", missing="allow")
        loaded = load_student(tmp_path / "student")
        found, left_out = choose_abstention(loaded, tmp_path / "student", source, risk=0.95, confidence=0.9)
        return found.num_calibration, left_out.num_near

    assert counted(*coins(1, 12), 100) == (12, 0)
    more, more_label = coins(2, 30)
    near = np.repeat(more, 2, axis=0)
    near[1::2] += np.random.default_rng(3).normal(0, 0.001, (30, 8)).astype(np.float32)
    assert counted(near, np.repeat(more_label, 2), 20) == (30, 30)


def test_nothing_is_promised_on_training_rows_alone_or_without_a_list(tmp_path):
    student, inputs, label = memoriser(0)
    student.save(tmp_path / "student")
    source = write(tmp_path / "own.parquet", inputs, label)
    with pytest.raises(InputError, match="holds only examples that the student was trained on or chosen by"):
        choose_abstention(load_student(tmp_path / "student"), tmp_path / "student", source, risk=0.3, confidence=0.9)
    build(TREE, [from_arrays(inputs)], class_names=["no", "yes"], seed=0).save(tmp_path / "own code")
    with pytest.raises(InputError, match=r"does not list the rows .* train it again .* or name them with `Student.tra"):
        choose_abstention(load_student(tmp_path / "own code"), tmp_path / "own code", source, risk=0.3, confidence=0.9)
    # A list without its file, and one that is cut.
    for damage in (b"", (tmp_path / "student/seen.parquet").read_bytes()[:-9]):
        (tmp_path / "student/seen.parquet").write_bytes(damage)
        with pytest.raises(InputError, match=r"seen.parquet has \d+ bytes"):
            load_student(tmp_path / "student")
    (tmp_path / "student/seen.parquet").unlink()
    with pytest.raises(InputError, match=r"seen.parquet is missing"):
        load_student(tmp_path / "student")


def test_a_student_without_a_pool_lists_its_held_out_examples_too():
    inputs, label = coins(0, 60)
    for held_out in ({"held_out": inputs[40:], "held_out_labels": label[40:]}, {}):
        method = "self_distilled" if held_out else "born_again"
        student = overproof.self_distill("linear", inputs[:40], label[:40], **held_out, method=method).student
        assert student.seen.unknown == ()
        assert student.has_seen(inputs[:40]).all()
        assert student.has_seen(inputs[40:]).all() == bool(held_out)
        assert not student.has_seen(inputs + 1).any()


# --- runs with teachers of every kind


NUM = {"labelled": 40, "validation": 50, "pool": 120, "test": 60}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A file that all roles are drawn from, other rows to calibrate on, and teachers."""
    folder = tmp_path_factory.mktemp("promise")
    world = blobs(num_examples=1270, num_classes=3, seed=0)
    columns = {f"x{i}": pa.array(np.round(column, 3)) for i, column in enumerate(world.inputs.T.double().numpy())}
    columns["whole"] = pa.array(np.arange(1270) % 5)
    columns["colour"] = pa.array(np.array(["red", "green", "blue"])[world.label.numpy()])
    columns["key"] = pa.array([f"row-{i}" for i in range(1270)])
    table = pa.table(columns)
    pq.write_table(table.slice(0, 270), folder / "all.parquet")
    pq.write_table(table, folder / "everything.parquet")
    probs = {name: world.teacher_probs[:, place].numpy() for place, name in enumerate(("red", "green", "blue"))}
    pq.write_table(pa.table({"id": table["key"], **probs}), folder / "answers.parquet")
    run(folder, {"model": "linear", "folds": 2}, "first", ["labelled_only"])
    return folder


def run(folder, teacher, name, methods, **changes):
    content = {
        "data": {
            "files": {"all": {"path": str(folder / "all.parquet"), "label": "colour", "id": "key"}},
            "rows": NUM,
        },
        "teacher": teacher,
        "student": {"name": "mlp", "options": {"hidden": [4]}},
        "train": {"epochs": 1},
        "methods": methods,
        "seeds": [0],
        **changes,
    }
    experiment = experiment_from(content)
    overproof.run(experiment, folder / name)
    return experiment


def left_out(student, folder, source, capsys):
    """What `predict --risk` leaves out of a file."""
    out = folder / "predictions.csv"
    words = ["predict", str(student), str(folder / "everything.parquet"), "--out", str(out), "--json"]
    main([*words, "--risk", "0.99", "--calibrate", str(source), "--label", "colour"])
    capsys.readouterr()
    return json.loads(out.with_suffix(".risk.json").read_text())


SAVED = "students/seed-0/labelled_only"
TEACHERS = {
    "cross-fitted": lambda folder: {"model": "sklearn.linear_model:LogisticRegression", "folds": 2},
    "answers": lambda folder: {"answers": [str(folder / "answers.parquet")]},
    "saved": lambda folder: {"model": str(folder / "first" / SAVED)},
    "stack": lambda folder: [{"model": "linear", "folds": 2}, {"answers": [str(folder / "answers.parquet")]}],
}


@pytest.mark.parametrize("kind", TEACHERS)
def test_the_rows_of_a_run_are_left_out_wherever_its_student_is(home, tmp_path, capsys, kind):
    experiment = run(home, TEACHERS[kind](home), f"run {kind}", ["hard", "slam"])
    roles = read_roles(experiment.data).for_seed(0)
    whole = pq.read_table(home / "everything.parquet")
    # Under other ids, in another order of rows and columns, with other types of the same numbers.
    changed = whole.select(sorted(whole.column_names, reverse=True)).drop_columns("key")
    changed = changed.append_column("key", pa.array(range(len(whole)))).take(np.random.default_rng(0).permutation(1270))
    place = changed.column_names.index("whole")
    changed = changed.set_column(place, "whole", changed["whole"].cast(pa.float64()))
    pq.write_table(changed, home / "changed.parquet")
    inherited = 220 if kind == "saved" else 0
    for row, roles_used in (("hard", ["labelled", "pool"]), ("slam", ["labelled", "pool", "validation"])):
        if kind == "stack":
            roles_used = ["labelled", "pool", "validation"]
        student = home / f"run {kind}" / "students/seed-0" / row
        shutil.copytree(student, tmp_path / row / "copied")
        overproof.export(student, tmp_path / row / "export")
        shutil.copytree(tmp_path / row / "export", tmp_path / row / "export copied")
        expected = set()
        for role in roles_used:
            expected |= set(getattr(roles, role).keys.to_pylist())
        if inherited:
            first = read_roles(experiment.data).for_seed(0)
            expected |= {*first.labelled.keys.to_pylist(), *first.pool.keys.to_pylist()}
        for place in (student, tmp_path / row / "copied", tmp_path / row / "export", tmp_path / row / "export copied"):
            found = left_out(place, home, home / "changed.parquet", capsys)
            assert found["num_left_out"] == len(expected)
            assert found["num_calibration"] == 1270 - len(expected)
        unknown = found["training_rows_unknown"]
        assert len(unknown) == (kind in ("answers", "stack"))
        assert not unknown or "answers.parquet" in unknown[0]
        used = [name for name in found["left_out"] if not name.startswith("its teacher's")]
        assert [name.partition(" (")[0].partition(" examples")[0] for name in used] == roles_used


def test_rows_in_another_precision_are_left_out(tmp_path, capsys):
    """A table in float64, of which people keep a copy as float32, or as text with six digits."""
    world = blobs(num_examples=900, num_classes=3, seed=0)
    noisy = world.inputs.double().numpy() + np.random.default_rng(0).normal(size=world.inputs.shape)
    columns = {f"x{i}": column for i, column in enumerate(noisy.T)}
    named = {"colour": np.array(["red", "green", "blue"])[world.label.numpy()], "key": np.arange(900)}
    pq.write_table(pa.table({**columns, **named}).slice(0, 270), tmp_path / "all.parquet")
    run(tmp_path, {"model": "linear", "folds": 2}, "run", ["hard"])
    overproof.export(tmp_path / "run/students/seed-0/hard", tmp_path / "export")
    pq.write_table(pa.table({**columns, **named}), tmp_path / "everything.parquet")
    halved = {name: column.astype(np.float32) for name, column in columns.items()}
    pq.write_table(pa.table({**halved, **named}), tmp_path / "float32.parquet")
    lines = [",".join([*columns, *named])]
    lines += [
        ",".join([*(f"{value:.6g}" for value in row), *map(str, rest)])
        for row, *rest in zip(noisy, *named.values(), strict=True)
    ]
    (tmp_path / "text.csv").write_text("\n".join(lines) + "\n")
    rounded = {name: np.round(column, 1) for name, column in columns.items()}
    pq.write_table(pa.table({**rounded, **named}), tmp_path / "rounded.parquet")
    for student in (tmp_path / "run/students/seed-0/hard", tmp_path / "export"):
        for source in ("everything.parquet", "float32.parquet", "text.csv"):
            found = left_out(student, tmp_path, tmp_path / source, capsys)
            # The labelled and the pool, and where a row was chosen on it the test.
            assert found["num_left_out"] == 160, source
            assert (found["num_not_recognisable"], found["same_digits_only"]) == (0, False)
        assert left_out(student, tmp_path, tmp_path / "rounded.parquet", capsys)["num_not_recognisable"] > 800
    words = [
        "predict",
        str(tmp_path / "export"),
        str(tmp_path / "everything.parquet"),
        "--out",
        str(tmp_path / "p.csv"),
    ]
    main([*words, "--risk", "0.99", "--calibrate", str(tmp_path / "rounded.parquet"), "--label", "colour"])
    shown = " ".join(capsys.readouterr().err.split())
    assert "have other digits than the rows that the student was made from ('x0' with 1 decimal" in shown
    assert "the promise holds only if none of them is one of these rows" in shown


def test_rows_that_a_saved_teacher_was_trained_on_are_left_out_of_another_run(home, tmp_path, capsys):
    """The teacher saw the rows of `all.parquet`; its student is trained on others."""
    whole = pq.read_table(home / "everything.parquet")
    pq.write_table(whole.slice(300, 400), tmp_path / "others.parquet")
    files = {"all": {"path": str(tmp_path / "others.parquet"), "label": "colour", "id": "key"}}
    data = {"files": files, "rows": {"labelled": 30, "pool": 200, "test": 100}}
    run(home, {"model": str(home / "first" / SAVED)}, "second", ["hard"], data=data)
    found = left_out(home / "second/students/seed-0/hard", home, home / "all.parquet", capsys)
    assert found["left_out"] == {"its teacher's labelled examples": 40, "its teacher's pool": 120}
    assert found["training_rows_unknown"] == []
    assert found["num_calibration"] == 110
    # And so on to a student of that student.
    run(home, {"model": str(home / "second/students/seed-0/hard")}, "third", ["hard"], data=data)
    found = left_out(home / "third/students/seed-0/hard", home, home / "all.parquet", capsys)
    assert found["num_left_out"] == 160
    assert found["left_out"]["its teacher's labelled examples"] == 40


def test_a_teacher_without_a_list_is_named(home, tmp_path, capsys):
    shutil.copytree(home / "first" / SAVED, tmp_path / "old")
    (tmp_path / "old" / MANIFEST).unlink()
    about = json.loads((tmp_path / "old/student.json").read_text())
    del about["manifest"]
    (tmp_path / "old/student.json").write_text(json.dumps(about))
    run(home, {"model": str(tmp_path / "old")}, "of an old one", ["hard"])
    everything, student = str(home / "everything.parquet"), str(home / "of an old one/students/seed-0/hard")
    calibrate = ["--risk", "0.9", "--calibrate", everything, "--label", "colour"]
    main(["predict", student, everything, *calibrate, "--out", str(tmp_path / "a.csv")])
    printed = " ".join(capsys.readouterr().err.split())
    assert f"Which rows 'the teacher {tmp_path / 'old'}' was trained on is not known: the promise" in printed
    with pytest.raises(SystemExit):
        main(["predict", str(tmp_path / "old"), everything, *calibrate, "--out", str(tmp_path / "b.csv")])
    assert "does not list the rows that the student was trained on" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "b.csv").exists()


# --- what counts as the same row


GREY = np.full((4, 8, 8), [[[1]], [[2]], [[3]], [[4]]], np.uint8)


@pytest.mark.parametrize(
    ("name", "rows", "same", "other"),
    [
        ("ngram", ["good", "Bad one"], ["bad  one", "good"], ["good one", "fine"]),
        ("embedding", ["good", "Bad one"], ["Bad one", "good"], ["good one", "fine"]),
        ("mlp", np.float64([[1, 0.1], [2, -0.0]]), np.float32([[2, 0.0], [1, 0.1]]), np.float64([[1, 0.2], [2, 1]])),
        (
            "cnn",
            np.full((2, 8, 8), [[[1]], [[2]]], np.uint8),
            np.full((1, 8, 8), 2, np.uint8),
            np.zeros((2, 8, 8), np.uint8),
        ),
    ],
)
def test_a_row_is_what_the_student_reads_of_it(name, rows, same, other, tmp_path, monkeypatch):
    options, allowed = {}, ()
    if name == "embedding":
        letters = type("Letters", (), {"fingerprint": "letters"})
        letters.embed = lambda self, texts: torch.tensor([[float(len(text))] for text in texts])
        monkeypatch.setitem(sys.modules, "toy", types.SimpleNamespace(letters=letters))
        options, allowed = {"embedder": "toy:letters"}, "toy:letters"
    student = build(
        ModelSpec(name=name, options=options), [from_arrays(rows)], class_names=["a", "b"], seed=0, allow_import=allowed
    )
    student.trained_on(rows).save(tmp_path / "s")
    loaded = load_student(tmp_path / "s", allow_import=allowed)
    assert loaded.has_seen(same).all()
    assert not loaded.has_seen(other).any()
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again/seen.parquet").read_bytes() == (tmp_path / "s/seen.parquet").read_bytes()
    assert loaded.fresh(seed=1).seen is None
    with pytest.raises(InputError, match="has no list of the rows"):
        loaded.fresh(seed=1).has_seen(same)
