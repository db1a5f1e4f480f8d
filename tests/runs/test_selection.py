"""A selection as a file, on the command line and in a run: the same rows as in Python, the classes before and after."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import typer

from overproof.answers.ask import answer, read
from overproof.answers.files import export_store
from overproof.api import run
from overproof.commands.main import app, main
from overproof.errors import InputError
from overproof.methods import selectors as select
from overproof.registry import entries
from overproof.runs.experiment import experiment_from
from overproof.storage import store
from overproof.storage.shard import StoreKey
from overproof.synthetic import blobs


@pytest.fixture
def content(tmp_path):
    world = blobs(num_examples=300, num_classes=3, seed=0)
    columns = {f"x{i}": pa.array(column) for i, column in enumerate(world.inputs.T.numpy())}
    pq.write_table(pa.table({**columns, "y": world.label.numpy()}), tmp_path / "blobs.parquet")
    return {
        "data": {
            "files": {"all": {"path": str(tmp_path / "blobs.parquet"), "label": "y"}},
            "rows": {"labelled": 60, "pool": 150, "test": 90},
        },
        "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 2},
        "student": {"name": "linear"},
        "train": {"epochs": 1},
        "methods": [{"method": "hard", "name": "top", "options": {"select": {"name": "confident", "budget": 1}}}],
        "seeds": [0],
    }


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        (
            {"name": "confident", "budget": 151},
            "of method 'top' is 151, but the pool has only 150 rows",
        ),
        ({"name": "per_class", "quota": 51}, "'select.quota' of method 'top' is 51 of each of 3 classes, but the pool"),
    ],
)
def test_too_large_a_budget_is_refused_before_anybody_is_asked(content, selector, words, tmp_path):
    content["methods"][0]["options"]["select"] = selector
    with pytest.raises(InputError) as error:
        run(experiment_from(content), tmp_path / "run")
    assert words in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_run_records_the_classes_and_says_which_vanish(content, tmp_path):
    result = run(experiment_from(content), tmp_path / "run")
    found = [finding for finding in result.findings if "classes vanish" in finding]
    assert len(found) == 1
    assert found[0].startswith("In the selection of top (seed 0), 2 of 3")
    assert found[0][found[0].index("2 of 3") :] in (tmp_path / "run/log.txt").read_text()
    students = json.loads((tmp_path / "run/result.json").read_text())["students"]
    counts = {each["method"]: each.get("pool_classes") for each in students}
    assert sum(counts["top"]["kept"].values()) == 1
    assert sum(counts["top"]["available"].values()) == 150
    assert counts["soft"] is None


# --- on the command line

KEY = StoreKey(teacher="resnet34 weights=abc", data="d", transform="none", code="1")


@pytest.fixture
def stored(tmp_path):
    logits = torch.randn(300, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 6
    probs = logits.softmax(1)
    ids = np.frombuffer(np.random.default_rng(0).bytes(16 * 300), "V16")
    answer(tmp_path / "labels", ids, KEY, ("ant", "bee", "cat", "dog"), lambda rows: probs[rows], rows_per_shard=128)
    return tmp_path / "labels"


def ids_of(folder):
    wanted = {"key": None, "class_names": None, "ids": None, "source": "", "align": False, "mmap": False}
    return store.load(folder, kind="answers", **wanted).ids


def stopped(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["select", *map(str, words)])
    said = capsys.readouterr().err.strip()
    assert (stop.value.code, said.count("\n"), said[-1]) == (2, 0, ".")
    return said


def test_the_command_writes_what_the_selector_chooses(stored, tmp_path, capsys):
    kept = read(stored)
    rows = select.Confident(budget=40)(kept)
    words = ["select", str(stored), "--rule", "confident", "--budget", "40", "--out"]
    main([*words, str(tmp_path / "a.parquet"), "--json", "--teacher", "resnet34"])
    printed = json.loads(capsys.readouterr().out)
    table = pq.read_table(tmp_path / "a.parquet")
    assert table["row"].to_pylist() == rows.tolist()
    assert table["id"].to_pylist() == [store_id.hex() for store_id in ids_of(stored)[rows.numpy()].tolist()]
    assert table["pseudo_label"].to_pylist() == [("ant", "bee", "cat", "dog")[k] for k in kept.pseudo_label[rows]]
    assert table["score"].to_pylist() == select.log_confidence(kept)[rows].tolist()
    assert (printed["rule"], printed["options"], printed["num_kept"]) == ("confident", {"budget": 40}, 40)
    after = torch.bincount(kept.pseudo_label[rows], minlength=4).tolist()
    assert [each["kept"] for each in printed["classes"]] == after
    main([*words, str(tmp_path / "b.parquet")])
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert "kept of available" in capsys.readouterr().out


def test_a_store_and_the_file_exported_from_it_give_the_same_choice(stored, tmp_path, capsys):
    export_store(stored, tmp_path / "answers.parquet")
    chosen = []
    for source in (stored, tmp_path / "answers.parquet"):
        main(
            [
                "select",
                str(source),
                "--rule",
                "random",
                "--budget",
                "0.1",
                "--set",
                "seed=3",
                "--out",
                str(tmp_path / "c.parquet"),
            ]
        )
        chosen.append(pq.read_table(tmp_path / "c.parquet"))
    assert chosen[0]["id"].to_pylist() == chosen[1]["id"].to_pylist()
    assert chosen[0]["pseudo_label"].to_pylist() == chosen[1]["pseudo_label"].to_pylist()
    assert "30 rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    "columns",
    [
        {"id": ["x", "y", "z"], "label": ["no", "yes", "no"]},
        {"id": ["x", "y", "z"], "no": [0.9, 0.2, 0.6], "yes": [0.1, 0.8, 0.4]},
        {"id": ["x", "y", "z"], "label": ["no", "yes", "no"], "no": [0.9, 0.2, 0.6], "yes": [0.1, 0.8, 0.4]},
    ],
)
def test_files_of_answers_of_every_form(columns, tmp_path, capsys):
    pq.write_table(pa.table(columns), tmp_path / "answers.parquet")
    words = ["select", str(tmp_path / "answers.parquet"), "--rule", "per_class", "--quota", "1", "--out"]
    main([*words, str(tmp_path / "chosen.parquet")])
    table = pq.read_table(tmp_path / "chosen.parquet")
    assert sorted(table["pseudo_label"].to_pylist()) == ["no", "yes"]
    assert "y" in table["id"].to_pylist()
    assert "2 rows" in capsys.readouterr().err


def test_classes_that_vanish_are_named(stored, tmp_path, capsys):
    main(["select", str(stored), "--rule", "confident", "--budget", "1", "--out", str(tmp_path / "a.parquet")])
    said = capsys.readouterr().err
    assert "Warning: 3 of 4 classes vanish: of the teacher's answers " in said


BAD = {
    "a budget larger than the pool": (["--rule", "confident", "--budget", 301], "only 300 rows to choose from"),
    "a share of nothing": (
        ["--rule", "random", "--budget", 0],
        "Option 'budget' is 0; it must be a whole number of at least 1",
    ),
    "an infinite budget": (["--rule", "random", "--budget", "inf"], "Option 'budget' is inf; it must be"),
    "a class with too few": (["--rule", "per_class", "--quota", 200], "class 'ant' has"),
    "an unknown rule": (["--rule", "confidant"], "no selector 'confidant'; did you mean 'confident'"),
    "an option of another rule": (["--rule", "per_class", "--budget", 3], "PerClass has no 'budget'"),
    "an unknown option": (["--rule", "random", "--set", "sed=3"], "did you mean 'seed'"),
    "another teacher": (["--rule", "random", "--teacher", "vgg"], "does not say 'vgg'"),
    "a confidence above one": (["--rule", "adaptive", "--set", "confidence=1.5"], "1.5; it must be a number in (0, 1)"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_exits_with_2_and_writes_nothing(case, stored, tmp_path, capsys):
    words, expected = BAD[case]
    assert expected in stopped([stored, *words, "--out", tmp_path / "new" / "a.parquet"], capsys)
    assert not (tmp_path / "new").exists()


def test_sources_that_are_none_exit_with_2(stored, tmp_path, capsys):
    chosen = ["--rule", "random", "--out", tmp_path / "a.parquet"]
    assert "no file" in stopped([tmp_path / "nothing.parquet", *chosen], capsys)
    assert "must end in .parquet" in stopped([stored, "--rule", "random", "--out", tmp_path / "a.csv"], capsys)
    assert "give one of them: labels" in stopped([tmp_path, *chosen], capsys)
    export_store(stored, tmp_path / "answers.parquet")
    assert "leave --teacher out" in stopped([tmp_path / "answers.parquet", *chosen, "--teacher", "vgg"], capsys)
    pq.write_table(pa.table({"id": ["x"], "no": [np.nan], "yes": [1.0]}), tmp_path / "bad.parquet")
    assert "class 0 has probability nan" in stopped([tmp_path / "bad.parquet", *chosen], capsys)
    shard = next(stored.glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-200])
    assert "is damaged" in stopped([stored, *chosen], capsys)
    assert not (tmp_path / "a.parquet").exists()


def test_the_options_of_the_command_are_these():
    command = typer.main.get_command(app).commands["select"]
    assert {word for each in command.params for word in each.opts} == {
        "source",
        "--rule",
        "--quiet",
        "-q",
        "--out",
        "--budget",
        "--quota",
        "--on",
        "--teacher",
        "--set",
        "--json",
    }
    rules = next(each.help for each in command.params if each.name == "rule")
    assert all(entry.name in rules for entry in entries("select"))
