"""Before a run: options against schemas, what it would take, and nothing written."""

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import yaml

from overproof.api import run
from overproof.commands.main import main
from overproof.data import Source, preview
from overproof.data import options as data_options
from overproof.errors import InputError
from overproof.models import build
from overproof.runs import measuring, plan
from overproof.runs.experiment import experiment_from
from overproof.runs.measuring import Rates, Sizes, sizes
from overproof.runs.plan import check_room, dry_run
from overproof.runs.preflight import preflight


def texts(num, start=0):
    return pa.table({"said": [f"good text {start + row}" for row in range(num)], "y": [row % 3 for row in range(num)]})


@pytest.fixture
def folder(tmp_path):
    pq.write_table(texts(300), tmp_path / "known.parquet")
    pq.write_table(texts(700, 300), tmp_path / "pool.parquet", row_group_size=100)
    pyarrow.csv.write_csv(pa.table({"x": np.arange(300.0), "y": np.arange(300) % 2}), tmp_path / "numbers.csv")
    np.save(tmp_path / "pixels.npy", np.zeros((30, 8, 8), np.uint8))
    (tmp_path / "notes.txt").write_text("no data")
    return tmp_path


def content(folder, **changed):
    text = {"input": "said", "label": "y"}
    return {
        "data": {
            "files": {
                "all": {"path": str(folder / "known.parquet"), **text},
                "pool": {"path": str(folder / "pool.parquet"), "input": "said"},
            },
            "rows": {"labelled": 60, "test": 100},
        },
        "teacher": {"model": "ngram", "folds": 2, "options": {"buckets": 256}},
        "student": {"name": "ngram", "options": {"buckets": 256}},
        "train": {"epochs": 3, "batch_size": 64},
        "methods": ["slam"],
        "seeds": [0, 1],
        **changed,
    }


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- previews


def test_rows_and_kinds_are_told_from_outside(folder):
    for name, options, kind, num in (
        ("pool.parquet", {"input": "said"}, "text", 700),
        ("numbers.csv", {"label": "y"}, "table", 300),
        ("pixels.npy", {}, "image", 30),
    ):
        found = preview(Source(path=str(folder / name), **options), role="pool")
        assert (found.kind, found.num_rows, found.exact) == (kind, num, True)


@pytest.mark.parametrize("packed", [False, True])
def test_long_text_files_are_told_from_their_first_lines(tmp_path, packed):
    rng = np.random.default_rng(0)
    lines = "".join(f"{number},{rng.bytes(number).hex()}\n" for number in rng.integers(10, 100, 40_000))
    path = tmp_path / ("x.csv.gz" if packed else "x.csv")
    path.write_bytes(gzip.compress(f"n,word\n{lines}".encode()) if packed else f"n,word\n{lines}".encode())
    found = preview(Source(path=str(path)), role="pool")
    assert not found.exact
    assert found.kind == "table"
    assert 0.9 * 40_000 < found.num_rows < 1.1 * 40_000
    with pytest.raises(InputError, match=r"pool \(x.csv(.gz)?\) has no column 'wrd' for `label` \(nearest: 'word'\)"):
        preview(Source(path=str(path), label="wrd"), role="pool")


def test_a_cut_within_quotes_is_no_mistake(tmp_path):
    cell = '"' + "so\n" * 700_000 + '"'
    (tmp_path / "x.csv").write_text(f"n,word\n1,{cell}\n2,b\n")
    assert (
        preview(Source(path=str(tmp_path / "x.csv"), label="n", input="word", kind="text"), role="pool").kind == "text"
    )


# --- what is refused before anything is read


REFUSED = {
    "no file": (["data.files.pool.path=FOLDER/pol.parquet"], r"no such file \(nearest: 'pool.parquet'\)"),
    "no format": (["data.files.pool.path=FOLDER/notes.txt"], "unknown extension '.txt'"),
    "no column": (["data.files.pool.input=sayd"], r"no column 'sayd' for `input` \(nearest: 'said'\)"),
    "two kinds": (
        ["data.files.pool={path: FOLDER/numbers.csv}"],
        "kind 'table', all .* of kind 'text'",
    ),
    "too many rows": (["data.rows.pool=701"], "asks for 701 pool examples, but pool .* has 700 rows"),
    "too many drawn": (["data.rows.test=250"], "asks for 60 labelled, 250 test examples, but all .* has 300 rows"),
    "student's kind": (["student={name: cnn}"], "Student 'cnn' does not read all"),
    "student's name": (["student={name: ngrams}"], r"no student 'ngrams' \(nearest: 'ngram'\)"),
    "student's option": (["student.options.bukets=9"], r"no option 'bukets' \(nearest: 'buckets'\)"),
    "teacher's kind": (["teacher={model: efficientnet_lite0}"], "reads image; the data are of kind 'text'"),
    "teacher's kind too": (["teacher={model: cnn}"], "'teacher.model' is 'cnn', but the data are of kind 'text'"),
    "teacher's name": (["teacher={model: minlm}"], r"'minlm' \(nearest: 'minilm'\)"),
    "teacher's option": (["teacher.options.bukets=9"], r"no option 'bukets' \(nearest: 'buckets'\)"),
    "second teacher": (["teacher=[{model: ngram}, {model: mlp}]"], "'teacher.others.0.model' is 'mlp'"),
    "saved teacher": (["teacher={model: FOLDER/nobody}"], "'teacher.model' is .*, and there is nothing of that name"),
    "answers": (["teacher={answers: [FOLDER/knwn.parquet]}"], r"nothing of that name \(nearest: 'known.parquet'\)"),
    "estimator's name": (
        ["teacher={model: 'sklearn.linear_model:LogisticRegresion'}"],
        "nearest: 'LogisticRegression'",
    ),
    "estimator's option": (["teacher={model: 'sklearn.linear_model:LogisticRegression', options: {C2: 1}}"], "'C2'"),
    "no classifier": (
        ["teacher={model: 'sklearn.linear_model:Ridge'}"],
        "--allow-import sklearn.linear_model:Ridge",
    ),
    "folds": (["data.rows.labelled=4", "teacher.folds=5"], "4, fewer than the 5 folds of the teacher"),
    "estimator": (["teacher={model: 'sklearn.linear_model:LogisticRegression'}"], "reads tables and images"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_before_anything_is_read(name, folder, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("read")

    monkeypatch.setattr("overproof.runs.read_roles.read", refuse)
    monkeypatch.setattr("overproof.runs.measuring.read_answered", refuse)
    changes, words = REFUSED[name]
    experiment = experiment_from(content(folder), [change.replace("FOLDER", str(folder)) for change in changes])
    before = everything(folder)
    with pytest.raises(InputError, match=words):
        run(experiment, folder / "run")
    with pytest.raises(InputError, match=words):
        dry_run(experiment)
    assert everything(folder) == before
    assert not (folder / "run").exists()


def test_a_saved_teacher_of_another_kind_is_refused_before_anything_is_read(folder):
    from overproof.data import from_arrays

    table = from_arrays(np.zeros((4, 2)), [0, 1, 0, 1])
    build("linear", [table], class_names=["0", "1"], seed=0).save(folder / "saved")
    experiment = experiment_from(content(folder, teacher={"model": str(folder / "saved")}))
    with pytest.raises(InputError, match="a saved student that reads table; the data are of kind 'text'"):
        preflight(experiment)


UNKNOWN = {
    "data.fils=1": "'data.fils'; did you mean 'files'",
    "data.files.poool.path=x": "'data.files.poool'; did you mean 'pool'",
    "data.files.pool.lable=y": "'data.files.pool.lable'; did you mean 'label'",
    "data.files.pool.image={sise: 3}": "'data.files.pool.image.sise'; did you mean 'size'",
    "data.rows.pol=3": "'data.rows.pol'; did you mean 'pool'",
    "data.label_noise.shar=1": "'data.label_noise.shar'; did you mean 'share'",
    "methods=[{method: slam, optins: {}}]": "'methods.0.optins'; did you mean 'options'",
    "methods=[{method: slam, train: {epoch: 3}}]": "'methods.slam.train.epoch'; did you mean 'epochs'",
    "methods=[{method: slam, rounds: {mots: 1}}]": "'methods.0.rounds.mots'; did you mean 'most'",
    "methods=[{method: slam, options: {noise.lower_bnd: 1}}]": "no 'lower_bnd'; did you mean 'lower_bound'",
    "teacher=[{model: mlp}, {model: cnn, fold: 3}]": "'teacher.others.0.fold'; did you mean 'folds'",
    "teacher=[{model: mlp}, {train: {epoch: 3}}]": "'teacher.others.0.train.epoch'; did you mean 'epochs'",
    "teacher.train.epoch=3": "'teacher.train.epoch'; did you mean 'epochs'",
    "student.nam=mlp": "'student.nam'; did you mean 'name'",
    "train.optimiser=sgd": "'train.optimiser'; did you mean 'optimizer'",
    "seed=[1]": "'seed'; did you mean 'seeds'",
    "data.files.pool.kind=txt": "Option 'data.files.pool.kind' is 'txt': input should be 'image', 'text' or 'table'",
}


@pytest.mark.parametrize("change", UNKNOWN)
def test_an_unknown_option_points_to_the_nearest_at_every_level(change, folder):
    with pytest.raises(InputError) as caught:
        experiment_from(content(folder), [change])
    assert UNKNOWN[change] in str(caught.value)


# --- plans


def test_a_dry_run_says_what_the_run_then_has_and_writes_nothing(folder, capsys):
    (folder / "e.yaml").write_text(yaml.safe_dump(content(folder)))
    before = everything(folder)
    main(["run", str(folder / "e.yaml"), "--out", str(folder / "run"), "--dry-run", "--json"])
    found = json.loads(capsys.readouterr().out)
    main(["label", str(folder / "e.yaml"), "--out", str(folder / "run"), "--dry-run"])
    printed = capsys.readouterr().out
    assert everything(folder) == before
    assert "labelled 60, pool 700, test 100 (counted)" in printed
    assert "3: 0, 1, 2" in printed
    assert found["counts"] == {"labelled": 60, "pool": 700, "test": 100}
    # Of a batch of 64 examples 8 are labelled: 700 / 56 is 12 steps, three times.
    assert found["steps"] == dict.fromkeys(("labelled_only", "soft", "hard", "slam"), 36)
    run(experiment_from(content(folder)), folder / "run")
    assert found["num_shards"] == len(list((folder / "run/labels").rglob("*.parquet"))) == 6
    assert found["num_students"] == len(list((folder / "run/students").rglob("row.json"))) == 8


def test_a_large_pool_is_planned_from_outside(folder, monkeypatch):
    monkeypatch.setattr(measuring, "LARGE_BYTES", 0)
    monkeypatch.setattr(data_options, "LARGE_BYTES", 4 * (folder / "known.parquet").stat().st_size + 1)

    def refuse(*arguments, **options):
        raise AssertionError("read whole")

    monkeypatch.setattr(measuring, "read_answered", refuse)
    experiment = experiment_from(content(folder))
    found = sizes(experiment, preflight(experiment))
    assert found.counts == {"pool": 700, "labelled": 60, "test": 100}
    assert found.on_disk == {"pool"}
    assert found.class_names == ("0", "1", "2")
    assert not found.exact
    assert not found.knows_truth
    assert len(found.sample) == 700


def test_a_plan_by_hand(folder):
    """10,000 rows of 100 bytes on disk, 40 encoded, two classes, one seed, three students, no test."""
    experiment = experiment_from(content(folder, methods=["hard"], seeds=[0], train={"epochs": 2, "batch_size": 100}))
    counts = {"labelled": 1000, "pool": 10_000}
    sample = sizes(experiment, preflight(experiment)).sample
    found = Sizes(
        counts=counts, exact=True, class_names=("a", "b"), sample=sample, on_disk=frozenset({"pool"}), knows_truth=False
    )
    rates = Rates(
        raw_bytes=100.0,
        encoded_bytes=40.0,
        encode_seconds=0.0,
        step_seconds=0.5,
        fitted=False,
        num_parameters=10,
        answer_seconds=0.001,
    )
    planned = plan.plan(experiment, found, rates)
    # An eighth of a batch is labelled: 10,000 / 88, rounded, twice.
    assert planned.steps == {"labelled_only": 228, "soft": 228, "hard": 228}
    assert planned.train_seconds == pytest.approx(3 * 228 * 0.5 + 3 * 10_000 * 0.5 / 100 / 3)
    assert planned.teacher_seconds == pytest.approx(11.0)
    assert planned.num_shards == 1 + 3
    assert planned.encoded_bytes == 11_000 * 40
    # Read and encoded; answers of 20 bytes and ids of 16, and those of the pool again to be mapped; students.
    assert planned.disk_bytes == 10_000 * (100 + 32 + 40) + 11_000 * 36 + 10_000 * 36 + 3 * 40 + 4 * 40
    assert planned.on_disk == ("pool",)
    assert ("steps", "228 a training") in planned.lines()
    assert planned.sentence().endswith("(estimates; the time may be half or twice that).")
    # With other work on the machine the clock is told too: 7 minutes of the processor are 20.
    busy = plan.plan(experiment, found, replace(rates, slowed=3.0)).sentence()
    assert busy.startswith("About 7 min to train 3 students")
    assert busy.endswith(
        "(estimates; the machine has other work: by the clock 20 min as it is now, or half or twice that)."
    )
    whole = plan.plan(experiment, found, replace(rates, fitted=True))
    assert whole.steps == {"labelled_only": 2, "soft": 2, "hard": 2}
    assert whole.train_seconds == planned.train_seconds
    assert not any("steps" in name for name, _ in whole.lines())
    (said,) = (words for name, words in whole.lines() if name == "fits")
    assert said.startswith("at most 2 a training (the student is fitted whole, without steps")


@pytest.mark.parametrize(("name", "word"), [("sklearn.linear_model:LogisticRegression", "fits"), ("linear", "steps")])
def test_a_plan_speaks_of_steps_only_where_there_are_any(name, word, tmp_path, capsys):
    """A forest or a logistic regression is fitted whole: at most once an epoch."""
    rng = np.random.default_rng(0)
    table = pa.table(
        {**{f"c{k}": rng.normal(size=300) for k in range(3)}, "label": rng.integers(0, 2, 300).astype(str)}
    )
    pq.write_table(table, tmp_path / "all.parquet")
    found = {
        "name": "planned",
        "data": {
            "files": {"all": {"path": str(tmp_path / "all.parquet"), "label": "label"}},
            "rows": {"labelled": 40, "pool": 200, "test": 60},
        },
        "teacher": {"model": "linear"},
        "student": {"name": name},
        "train": {"epochs": 4},
        "methods": ["hard"],
        "seeds": [0],
    }
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(found))
    main(["run", str(tmp_path / "e.yaml"), "--out", str(tmp_path / "run"), "--dry-run"])
    said = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    (line,) = (words for words in said if words[0] in ("fits", "steps"))
    assert line[0] == word
    assert (line[1:4] == ["at", "most", "4"]) == (word == "fits")


def test_what_does_not_fit_the_disk_is_refused_and_nothing_is_left(folder, monkeypatch, capsys):
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(InputError, match=r"This run needs about 2 KiB of disk, and 1 KiB are free in"):
        check_room(folder / "a/b", 2000, "This run")
    check_room(folder / "a/b", 999, "This run")
    with pytest.raises(InputError, match="What the run keeps of its files on disk needs about"):
        run(experiment_from(content(folder), ["data.on_disk=always"]), folder / "run")
    assert not (folder / "run").exists()
    (folder / "e.yaml").write_text(yaml.safe_dump(content(folder)))
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(folder / "e.yaml"), "--out", str(folder / "run"), "--dry-run"])
    assert stopped.value.code == 2
    assert "This run needs about" in capsys.readouterr().err
    assert not (folder / "run").exists()


def test_a_run_says_its_estimate_before_the_work(folder, capsys):
    (folder / "e.yaml").write_text(yaml.safe_dump(content(folder, methods=["hard"], seeds=[0])))
    # What trains no student says nothing of them.
    main(["label", str(folder / "e.yaml"), "--out", str(folder / "run")])
    assert "students" not in capsys.readouterr().err
    main(["run", str(folder / "e.yaml"), "--out", str(folder / "run")])
    said = [line for line in capsys.readouterr().err.splitlines() if "(estimates; the time may be half" in line]
    assert len(said) == 1
    assert said[0].startswith("About ")
    assert "to train 3 students (the teacher besides)" in said[0]
