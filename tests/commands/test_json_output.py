"""`--json`: one object on standard output and nothing else, which says what a call found, asked, trained and wrote."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from overproof.commands.main import main

COUNTS = {"labelled": 40, "pool": 200, "test": 60}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """An experiment on a table: two seeds, two methods, a teacher of five folds."""
    folder, rng = tmp_path_factory.mktemp("machines"), np.random.default_rng(0)
    for name, num in (("all", 240), ("test", 60)):
        label = rng.integers(0, 2, num)
        numbers = {f"c{k}": rng.normal(size=num) + label for k in range(3)}
        pq.write_table(pa.table({**numbers, "label": label.astype(str)}), folder / f"{name}.parquet")
    content = {
        "name": "told",
        "data": {
            "files": {name: {"path": str(folder / f"{name}.parquet"), "label": "label"} for name in ("all", "test")},
            "rows": {"labelled": 40, "pool": 200},
        },
        "teacher": {"model": "linear", "train": {"epochs": 2}},
        "student": {"name": "linear"},
        "train": {"epochs": 2},
        "methods": ["hard"],
        "seeds": [0, 1],
    }
    (folder / "e.yaml").write_text(yaml.safe_dump(content))
    return folder


def told(capsys, *words: object) -> dict:
    main([*map(str, words), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def by_role(found: dict) -> dict:
    return {(each["seed"], each["role"]): (each["rows"], each["asked"], each["cached"]) for each in found["answers"]}


def test_a_run_step_by_step_says_what_is_new_and_what_was_there(home, capsys):
    label = ("label", home / "e.yaml", "--out", home / "run")
    first, again = told(capsys, *label), told(capsys, *label)
    assert by_role(first) == {(seed, role): (n, n, 0) for seed in (0, 1) for role, n in COUNTS.items()}
    assert by_role(again) == {(seed, role): (n, 0, n) for seed in (0, 1) for role, n in COUNTS.items()}
    assert (first["asked"], again["asked"]) == (600, 0)
    assert first["teacher"] == ["linear"]
    assert first["folder"] == str(home / "run/labels")
    # A file of answers is lost: its rows are asked again, the others are there.
    (lost,) = (home / "run/labels/seed-1/pool").glob("*.parquet")
    lost.unlink()
    assert by_role(told(capsys, *label)) == {**by_role(again), (1, "pool"): (200, 200, 0)}

    found = told(capsys, "distill", home / "run")
    assert found["folder"] == str(home / "run/students")
    rows = ["labelled_only", "soft", "hard", "oracle"]
    assert sorted((each["seed"], each["row"]) for each in found["students"]) == sorted(
        (seed, row) for seed in (0, 1) for row in rows
    )
    for each in found["students"]:
        assert each["finished"] == "now"
        assert each["seconds"] > 0
        assert Path(each["folder"]) == home / f"run/students/seed-{each['seed']}" / each["row"]
        assert (Path(each["folder"]) / "student.safetensors").exists()
    (home / "run/students/seed-1/hard/row.json").unlink()
    finished = {
        (each["seed"], each["row"]): each["finished"] for each in told(capsys, "distill", home / "run")["students"]
    }
    assert {key for key, when in finished.items() if when == "now"} == {(1, "hard")}
    assert len(finished) == 8

    result = told(capsys, "evaluate", home / "run")
    decision = result.pop("decision")
    assert result == json.loads((home / "run/result.json").read_text())
    own = {(row["method"], row["seed"]): row["metrics"]["accuracy"] for row in result["rows"]}
    assert decision["accuracy"] == own[decision["row"], 0]
    assert decision["low"] < decision["accuracy"] < decision["high"]
    assert decision["mean"] == pytest.approx((own[decision["row"], 0] + own[decision["row"], 1]) / 2)
    assert (decision["seed"], decision["num_seeds"]) == (0, 2)
    # It is trained too shortly to learn anything.
    assert decision["deploy"] == "Deploy none of these students: none has learned."
    page = told(capsys, "report", home / "run", "--out", home / "page.html")
    assert page == {"file": str(home / "page.html"), "num_bytes": (home / "page.html").stat().st_size}

    student = home / "run/students/seed-0/hard"
    said = told(capsys, "predict", student, home / "test.parquet", "--out", home / "said.parquet")
    assert said["file"] == str(home / "said.parquet")
    assert said["columns"] == pq.read_schema(home / "said.parquet").names == ["id", "label", "0", "1"]
    assert (said["num_rows"], said["num_answered"], said["abstained_share"]) == (60, 60, 0)
    assert said["rows_per_second"] == pytest.approx(60 / said["seconds"])

    # A brought teacher is asked once for all that the seeds draw from, and once for their common test.
    brought = (*label[:2], "--out", home / "brought", "--set", f"teacher={{model: {student}}}")
    found = told(capsys, *brought)
    assert found["asked"] == 300
    parts = {(seed, role): (n, 0, n) for seed in (0, 1) for role, n in COUNTS.items()}
    assert by_role(found) == {**parts, (None, "train"): (240, 240, 0), (0, "test"): (60, 60, 0)}
    assert told(capsys, *brought)["asked"] == 0


def test_answers_from_files_are_nobodys_work(home, capsys):
    ids = {}
    for name in ("all", "test"):
        table = pq.read_table(home / f"{name}.parquet")
        ids[name] = [f"{name}-{row}" for row in range(len(table))]
        pq.write_table(table.append_column("key", pa.array(ids[name])), home / f"{name}-keyed.parquet")
    every = [*ids["all"], *ids["test"]]
    pq.write_table(pa.table({"id": every, "0": [0.7] * 300, "1": [0.3] * 300}), home / "answers.parquet")
    changes = [f"data.files.{name}.path={home / name}-keyed.parquet" for name in ("all", "test")]
    changes += [f"data.files.{name}.id=key" for name in ("all", "test")]
    changes += [f"teacher={{answers: [{home / 'answers.parquet'}]}}", "seeds=[0]"]
    words = [word for change in changes for word in ("--set", change)]
    found = told(capsys, "label", home / "e.yaml", "--out", home / "filed", *words)
    assert by_role(found) == {(0, role): (n, 0, n) for role, n in COUNTS.items()}
    assert found["teacher"] == [[str(home / "answers.parquet")]]
