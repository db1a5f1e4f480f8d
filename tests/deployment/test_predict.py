"""Predictions for files: in order, in pieces, written in full or not at all; abstention at a given risk."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import torch

import overproof
from overproof.commands.main import main
from overproof.data import Source, from_arrays
from overproof.deployment.abstention import Abstention
from overproof.deployment.predict import predict
from overproof.errors import InputError
from overproof.models import ModelSpec, build
from overproof.models.saved.data_columns import DataColumns, columns_of, with_columns
from overproof.runs.experiment import experiment_from
from overproof.runs.folder.seen import use_of_validation
from overproof.runs.read_roles import read_roles
from overproof.storage.manifest import write_folder
from overproof.synthetic import blobs
from overproof.teachers import open_teacher

NUM = 90
WORDS = np.array(["red", "007", "1.5", 'a, "quoted"\nline', "größer"])


def a_table():
    """Numbers that look whole at first, words that look like numbers, gaps, an unused column."""
    rng = np.random.default_rng(0)
    size = [float(i) if i < 60 else i + 0.25 for i in range(NUM)]
    return pa.table(
        {
            "size": pa.array(size, mask=np.arange(NUM) % 11 == 3),
            "word": pa.array(WORDS[np.arange(NUM) % 5], mask=np.arange(NUM) % 13 == 5),
            "flag": pa.array(rng.random(NUM) < 0.5),
            "born": pa.array([None, *range(1, NUM)], pa.timestamp("s")),
            "never": pa.nulls(NUM, pa.float64()),
            "key": [f"0{i}" for i in range(NUM)],
            "other": ["x"] * NUM,
        }
    )


def moved(student):
    """First weights of some students are zeros: any others will do."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in student.module.parameters():
            value += 0.3 * torch.randn(value.shape, generator=generator)
    return student


@pytest.fixture(scope="module")
def tabular():
    from overproof.data.examples import build as examples_of

    table = a_table().select(["size", "word", "flag", "born", "never"])
    examples = examples_of(
        inputs=table.set_column(1, "word", table["word"].cast(pa.large_string())).set_column(
            3, "born", table["born"].cast(pa.timestamp("us"))
        ),
        label=torch.full((NUM,), -1),
        class_names=(),
        keys=None,
        origin="table",
    )
    return moved(build(ModelSpec(name="mlp"), [examples], class_names=["no", "yes"], seed=0)), examples


def written(file):
    return pq.read_table(file) if file.suffix == ".parquet" else pyarrow.csv.read_csv(file)


@pytest.fixture
def small_pieces(monkeypatch):
    """Blocks of a few rows and pieces of fewer."""
    monkeypatch.setattr("overproof.deployment.input_pieces.MAX_ROWS", 7)
    monkeypatch.setattr("overproof.data.readers.csv_stream.BLOCK_BYTES", 300)


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".tsv", ".parquet", ".arrow", "-*.csv"])
def test_a_table_in_pieces_gives_the_predictions_of_the_whole(tabular, tmp_path, small_pieces, ending):
    student, examples = tabular
    table, path = a_table(), tmp_path / f"a{ending}"
    if ending == ".parquet":
        pq.write_table(table, path, row_group_size=20)
    elif ending == ".arrow":
        pyarrow.feather.write_feather(table, path, chunksize=20)
    else:
        options = pyarrow.csv.WriteOptions(delimiter="\t" if ending == ".tsv" else ",")
        parts = [table.slice(0, 40), table.slice(40)] if ending == "-*.csv" else [table]
        for number, part in enumerate(parts):
            file = tmp_path / f"a-{number}.csv" if len(parts) > 1 else path
            sink = pa.BufferOutputStream()
            pyarrow.csv.write_csv(part, sink, options)
            data = sink.getvalue().to_pybytes()
            file.write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    source = Source(path=str(path), kind="table", id="key", missing="allow")
    done = predict(student, source, tmp_path / "answers.parquet")
    assert (done.num_rows, done.num_answered) == (NUM, NUM)
    answers = written(tmp_path / "answers.parquet")
    assert answers["id"].to_pylist() == a_table()["key"].to_pylist()
    wanted = student.probs(examples)
    found = np.stack([answers[name].to_numpy() for name in ("no", "yes")], axis=1)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=0, atol=1e-5)
    assert answers["label"].to_pylist() == [["no", "yes"][place] for place in wanted.argmax(dim=1).tolist()]
    assert wanted.std(dim=0).min() > 0.05


def test_without_an_id_column_the_content_ids_are_written(tabular, tmp_path, small_pieces):
    student, examples = tabular
    pq.write_table(a_table(), tmp_path / "a.parquet")
    pyarrow.csv.write_csv(a_table(), tmp_path / "a.csv")
    for name in ("a.parquet", "a.csv"):
        predict(student, Source(path=str(tmp_path / name), kind="table", missing="allow"), tmp_path / "answers.csv")
        answers = written(tmp_path / "answers.csv")
        assert answers["id"].to_pylist() == [bytes(each).hex() for each in examples.ids]


TEXTS = ["so good", "bad, bad", 'he said "no"', "two\nlines", "日本語", "12", "fine"] * 9


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_texts_in_pieces_give_the_predictions_of_the_whole(tmp_path, small_pieces, ending):
    student = moved(
        build(ModelSpec(name="ngram", options={"buckets": 512}), [from_arrays(TEXTS)], class_names="ab", seed=0)
    )
    table = pa.table({"n": range(len(TEXTS)), "text": TEXTS})
    if ending == ".csv":
        pyarrow.csv.write_csv(table, tmp_path / "a.csv")
    else:
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    source = Source(path=str(tmp_path / f"a{ending}"), kind="text", input="text", id="n")
    predict(student, source, tmp_path / "answers.csv")
    answers = written(tmp_path / "answers.csv")
    np.testing.assert_allclose(answers["a"].to_numpy(), student.probs(TEXTS)[:, 0].numpy(), rtol=0, atol=1e-5)
    assert answers["id"].to_pylist() == list(range(len(TEXTS)))


def test_images_in_an_archive(tmp_path, small_pieces):
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    student = moved(build("linear", [from_arrays(images)], class_names="ab", seed=0))
    np.savez(tmp_path / "a.npz", images=images)
    predict(student, Source(path=str(tmp_path / "a.npz"), kind="image"), tmp_path / "answers.parquet")
    found = written(tmp_path / "answers.parquet")["b"].to_numpy()
    np.testing.assert_allclose(found, student.probs(images)[:, 1].numpy(), rtol=0, atol=1e-5)


def test_rows_without_an_input_may_be_dropped_even_all_of_a_piece(tmp_path, small_pieces):
    student = build(ModelSpec(name="ngram", options={"buckets": 512}), [from_arrays(TEXTS)], class_names="ab", seed=0)
    texts = ["so good"] * 10 + [None] * 30 + ["bad", None]
    table = pa.table({"n": range(42), "text": texts})
    pq.write_table(table, tmp_path / "a.parquet")
    source = Source(path=str(tmp_path / "a.parquet"), kind="text", input="text", id="n", missing="drop")
    assert predict(student, source, tmp_path / "answers.parquet").num_rows == 11
    assert written(tmp_path / "answers.parquet")["id"].to_pylist() == [*map(str, range(10)), "40"]
    pq.write_table(table.slice(10, 30), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="has no rows that have an input: all 30 lack one and are left out"):
        predict(student, source, tmp_path / "none.parquet")
    assert not (tmp_path / "none.parquet").exists()


HEADER = "size,word,flag,born,never,key\n"
GOOD = HEADER + "1,red,true,1970-01-01,x,a\n2,red,false,1970-01-01 00:00:07,x,b\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            GOOD.replace("\n2,", "\ntwo,"),
            r"has 'two' in row 1 \(counting from 0\); the student needs values of type double",
        ),
        (GOOD.replace("false", "maybe"), "has 'maybe' in row 1"),
        (GOOD.replace("x,b", "x"), r"has 5 cells row 1 \(counting from 0\); every row must have 6"),
        (GOOD + '3,red,true,1970-01-01,x,"c\n4,red,true,1970-01-01,x,d\n', "opens a quote in row 2"),
        (GOOD.replace("word", "wort"), "lacks the columns 'word'"),
        (GOOD.replace("key", "kye"), r"has no column 'key' for `id` \(nearest: 'kye'\)"),
        (GOOD + "3,red,true,1970-01-01,x,a\n", "has the id 'a' in column 'key' twice"),
        (GOOD.replace("\n2,", "\ninf,"), "numbers must be finite"),
        (GOOD.replace("\n2,", "\n,"), "has a missing value in column 'size', row 1"),
        (HEADER, "has no rows to predict"),
        ("", "is empty"),
    ],
)
def test_a_bad_file_leaves_nothing_behind(tabular, tmp_path, data, message):
    (tmp_path / "a.csv").write_text(data)
    with pytest.raises(InputError, match=message):
        predict(tabular[0], Source(path=str(tmp_path / "a.csv"), kind="table", id="key"), tmp_path / "answers.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_the_file_that_is_read_is_not_replaced(tabular, tmp_path):
    (tmp_path / "a.csv").write_text(GOOD)
    (tmp_path / "link.csv").symlink_to("a.csv")
    for name in ("a.csv", "link.csv"):
        with pytest.raises(InputError, match="is read too, and would be replaced by the output"):
            predict(tabular[0], Source(path=str(tmp_path / "a.csv"), kind="table", id="key"), tmp_path / name)
    assert (tmp_path / "a.csv").read_text() == GOOD


def test_categories_that_training_did_not_have_are_counted_over_all_pieces(tabular, tmp_path, small_pieces):
    rows = "".join(f"{i},{'Red' if i % 5 else 'red'},true,1970-01-01,x,k{i}\n" for i in range(50))
    (tmp_path / "a.csv").write_text(HEADER + rows)
    done = predict(tabular[0], Source(path=str(tmp_path / "a.csv"), kind="table", id="key"), tmp_path / "b.csv")
    (remark,) = done.remarks
    assert remark.startswith("Column 'word' holds a category that the student does not know in 40 of 50 rows, such as")
    (tmp_path / "a.csv").write_text(GOOD)
    source = Source(path=str(tmp_path / "a.csv"), kind="table", id="key")
    assert predict(tabular[0], source, tmp_path / "b.csv").remarks == ()


def test_rows_that_are_left_out_and_columns_that_are_not_read_are_said(tabular, tmp_path, small_pieces, capsys):
    # The first piece of seven has no row left; the last column is none of the student's.
    rows = [f"{'' if i < 7 or i % 10 == 3 else i},red,true,1970-01-01,x,k{i},no\n" for i in range(50)]
    (tmp_path / "a.csv").write_text(HEADER.replace("\n", ",late\n") + "".join(rows))
    dropped = sum(row.startswith(",") for row in rows)
    assert dropped == 11
    pq.write_table(pyarrow.csv.read_csv(tmp_path / "a.csv"), tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        source = Source(path=str(tmp_path / name), kind="table", id="key", missing="drop")
        done = predict(tabular[0], source, tmp_path / "b.csv")
        assert (done.num_rows, done.num_dropped) == (39, 11)
        assert done.remarks == (
            "11 of 50 rows lack an input and are left out (`missing: drop`); they have no prediction.",
            "1 column is not read, as the student does not use it: 'late'.",
        )
    tabular[0].save(tmp_path / "student")
    given = ["predict", str(tmp_path / "student"), str(tmp_path / "a.csv"), "--out", str(tmp_path / "c.csv")]
    main([*given, "--id", "key", "--missing", "drop"])
    said = capsys.readouterr()
    assert "11 of 50 rows lack an input and are left out (--missing drop)" in said.err
    assert "1 column is not read, as the student does not use it: 'late'" in said.err
    main([*given, "--missing", "drop"])
    assert "2 columns are not read, as the student does not use them: 'key', 'late'" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main([*given, "--missing", "refuse"])
    assert "or write --missing drop or --missing allow." in capsys.readouterr().err
    (tmp_path / "a.csv").write_text(HEADER + "".join(rows[:7]).replace(",no", ""))
    with pytest.raises(SystemExit, match="2"):
        main([*given, "--missing", "drop"])
    assert "has no rows that have an input: all 7 lack one" in capsys.readouterr().err


def test_errors_in_a_later_piece_name_the_row_of_the_file(tabular, tmp_path, small_pieces):
    rows = "".join(f"{i},red,true,1970-01-01,x,k{i}\n" for i in range(50))
    for data, message in (
        (rows.replace("k44", "k2"), "1 repeated id in column 'key'"),
        (rows.replace("45,red", ",red"), "row 45"),
        (rows.replace("\n46,", "\nforty,"), "'forty' in row 46"),
        (rows.replace("x,k47", "k47"), "has 5 cells row 47"),
    ):
        (tmp_path / "a.csv").write_text(HEADER + data)
        with pytest.raises(InputError, match=message):
            predict(tabular[0], Source(path=str(tmp_path / "a.csv"), kind="table", id="key"), tmp_path / "answers.csv")
        assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tabular, tmp_path):
    """Five times as many rows cost less memory than a row takes on disk; held whole, each takes hundreds of bytes."""
    import subprocess
    import sys

    tabular[0].save(tmp_path / "student")
    code = """if True:
        import sys
        from pathlib import Path
        from overproof.data import Source
        from overproof.models import load_student
        from overproof.deployment.predict import predict
        folder = Path(sys.argv[1])
        source = Source(path=str(folder / sys.argv[2]), kind="table")
        predict(load_student(folder / "student"), source, folder / "o.parquet")
        # Not ru_maxrss, which a process inherits from the one that started it.
        status = Path("/proc/self/status").read_text()
        print(int(status.partition("VmHWM:")[2].split()[0]) * 1024)
    """
    peaks = []
    for name, num in (("few.csv", 1_000_000), ("many.csv", 5_000_000)):
        columns = {"size": np.arange(num) / 7, "word": WORDS[:2][np.arange(num) % 2], "flag": [True] * num}
        table = pa.table({**columns, "born": pa.array([7] * num, pa.timestamp("s")), "never": ["x"] * num})
        pyarrow.csv.write_csv(table, tmp_path / name)
        peaks.append(int(subprocess.check_output([sys.executable, "-c", code, str(tmp_path), name])))
    # The allocator keeps some 30 bytes a row of what is long done with.
    assert peaks[1] - peaks[0] < 64 * 4_000_000


# --- abstention


def test_where_the_student_abstains_its_class_is_empty_and_a_column_marks_it(tabular, tmp_path):
    student, examples = tabular
    table = a_table()
    pyarrow.csv.write_csv(table, tmp_path / "a.csv")
    confidence = student.probs(examples).amax(dim=1).numpy()
    found = Abstention(
        risk=0.1,
        confidence=0.9,
        threshold=float(np.median(confidence)),
        bound=0.1,
        num_calibration=1,
        num_accepted=1,
        num_wrong=0,
    )
    for name in ("answers.csv", "answers.parquet"):
        source = Source(path=str(tmp_path / "a.csv"), kind="table", missing="allow")
        done = predict(student, source, tmp_path / name, abstention=found)
        answers = written(tmp_path / name)
        silent = confidence <= found.threshold
        assert answers["abstained"].to_pylist() == silent.tolist()
        empty = pc.equal(pc.fill_null(answers["label"], ""), "").to_pylist()
        assert empty == silent.tolist()
        assert done.num_answered == (~silent).sum() < NUM
        assert answers.column_names == ["id", "label", "abstained", "no", "yes"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run whose validation labels `slam` used and `hard` did not; files of labelled examples beside it."""
    folder = tmp_path_factory.mktemp("finished")
    # One draw of the labelled examples; over many of them the guarantee is tested in test_abstention.
    world = blobs(num_examples=6000, num_classes=3, seed=3)
    columns = {f"x{i}": pa.array(column) for i, column in enumerate(world.inputs.T.numpy())}
    columns["colour"] = pa.array(np.array(["red", "green", "blue"])[world.label.numpy()])
    columns["key"] = pa.array([f"row-{i}" for i in range(6000)])
    table = pa.table(columns)
    for name, start, num in (("all", 0, 1500), ("calibrate", 1500, 1000), ("new", 2500, 3500)):
        pyarrow.csv.write_csv(table.slice(start, num), folder / f"{name}.csv")
    content = {
        "data": {
            "files": {"all": {"path": str(folder / "all.csv"), "label": "colour", "id": "key"}},
            "rows": {"labelled": 60, "validation": 600, "pool": 400, "test": 100},
        },
        "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 2},
        "student": {"name": "mlp", "options": {"hidden": [16]}},
        "train": {"epochs": 10, "batch_size": 32},
        "methods": ["hard", "slam"],
        "seeds": [0],
    }
    experiment = experiment_from(content)
    overproof.run(experiment, folder / "run")
    roles = read_roles(experiment.data).for_seed(0)
    seen = pc.is_in(table["key"], pa.concat_arrays([roles.labelled.keys, roles.pool.keys]).cast(pa.string()))
    pyarrow.csv.write_csv(table.filter(seen), folder / "seen.csv")
    return folder


def run_predict(finished, *words, row="hard"):
    student = finished / "run/students/seed-0" / row
    main(["predict", str(student), str(finished / "new.csv"), "--id", "key", *words])


def test_ids_and_inputs_are_in_the_columns_of_the_training_data(finished, tmp_path, capsys):
    student = finished / "run/students/seed-0/hard"
    assert columns_of(student) == DataColumns(id="key")
    main(["predict", str(student), str(finished / "new.csv"), "--out", str(tmp_path / "a.csv")])
    assert written(tmp_path / "a.csv")["id"].to_pylist()[:2] == ["row-2500", "row-2501"]
    # Of a run the student that an export would hold.
    main(["predict", str(finished / "run"), str(finished / "new.csv"), "--out", str(tmp_path / "r.csv")])
    said = capsys.readouterr().err
    assert "Chosen: '" in said
    assert "of the time on the test" in said
    # Gaps are allowed where the training data had some.
    table = pa.table({"x": [0.5, None, 1.0], "z": [1.0, 2.0, 3.0]})
    examples = from_arrays(table, missing="allow")
    numbers = build(ModelSpec(name="linear"), [examples], class_names=["no", "yes"], seed=0)
    pyarrow.csv.write_csv(table, tmp_path / "gaps.csv")
    full = build(ModelSpec(name="linear"), [from_arrays(table.drop_null())], class_names=["no", "yes"], seed=0)
    # A student that was saved in Python knows its gaps by its columns.
    for gaps, student, place in ((True, numbers, "gaps"), (False, numbers, "saved"), (False, full, "none")):
        write_folder(tmp_path / place, with_columns(student.files(), DataColumns(gaps=gaps)), kind="student")
    for place in ("gaps", "saved"):
        capsys.readouterr()
        main(["predict", str(tmp_path / place), str(tmp_path / "gaps.csv"), "--out", str(tmp_path / "g.csv")])
        said = "A value is missing in column 'x' in 1 of 3 rows; the student reads it as missing."
        assert said in " ".join(capsys.readouterr().err.split())
    with pytest.raises(SystemExit):
        main(["predict", str(tmp_path / "none"), str(tmp_path / "gaps.csv"), "--out", str(tmp_path / "h.csv")])
    # But not in a column that had none, until it is said.
    other = table.set_column(1, "z", pa.array([1.0, 2.0, None]))
    gappy = build(ModelSpec(name="linear"), [examples], class_names=["no", "yes"], seed=0)
    write_folder(tmp_path / "other", with_columns(gappy.files(), DataColumns(gaps=True)), kind="student")
    for form in ("csv", "parquet"):
        new = tmp_path / f"other.{form}"
        (pyarrow.csv.write_csv if form == "csv" else pq.write_table)(other, new)
        capsys.readouterr()
        with pytest.raises(SystemExit):
            main(["predict", str(tmp_path / "other"), str(new), "--out", str(tmp_path / "o.csv")])
        assert "a missing value in column 'z', row 2 (counting from 0), where none" in capsys.readouterr().err
        assert not (tmp_path / "o.csv").exists()
        main(
            ["predict", str(tmp_path / "other"), str(new), "--missing", "allow", "--out", str(tmp_path / f"{form}.csv")]
        )
        assert "'z' in 1 of 3 rows; the student reads it as the column's mean" in " ".join(
            capsys.readouterr().err.split()
        )
    with pytest.raises(InputError, match=r"a missing value in column 'z', row 2 \(counting from 0\), where none was"):
        gappy.probs(other)
    other_examples = from_arrays(other, missing="allow")
    with pytest.raises(InputError, match=r"where none was missing in the training of the saved student that is the"):
        open_teacher(tmp_path / "other", ["no", "yes"]).probs(other_examples)
    # Labelled rows that choose a threshold are read as new rows are.
    gappy.trained_on(examples).save(tmp_path / "listed")
    pyarrow.csv.write_csv(other.append_column("kind", pa.array(["no", "yes", "no"])), tmp_path / "held.csv")
    words = ["--risk", "0.5", "--calibrate", str(tmp_path / "held.csv"), "--label", "kind", "--out", "c.csv"]
    with pytest.raises(SystemExit):
        main(["predict", str(tmp_path / "listed"), str(tmp_path / "gaps.csv"), *words])
    assert "(held.csv) has a missing value in column 'z', row 2" in " ".join(capsys.readouterr().err.split())
    # Texts: the column is there, or the error names it.
    texts = build("ngram", [from_arrays(["a good one", "a bad one"])], class_names=["no", "yes"], seed=0)
    folder = tmp_path / "texts"
    write_folder(folder, with_columns(texts.files(), DataColumns(input="body", id="key")), kind="student")
    pyarrow.csv.write_csv(pa.table({"body": ["good", "bad"], "other": [1, 2]}), tmp_path / "new.csv")
    main(["predict", str(folder), str(tmp_path / "new.csv"), "--out", str(tmp_path / "b.csv")])
    assert len(written(tmp_path / "b.csv")) == 2
    # A text of two columns is joined of the same two, whatever the format.
    two = tmp_path / "two"
    write_folder(two, with_columns(texts.files(), DataColumns(input=("head", "body"))), kind="student")
    mails = pa.table({"body": ["one", "bad"], "head": ["a good", ""], "n": [1, 2]})
    pyarrow.csv.write_csv(mails, tmp_path / "mails.csv")
    pq.write_table(mails, tmp_path / "mails.parquet")
    for name in ("mails.csv", "mails.parquet"):
        main(["predict", str(two), str(tmp_path / name), "--out", str(tmp_path / "m.csv")])
        wanted = from_arrays(["a good\n\none", "bad"]).ids
        assert written(tmp_path / "m.csv")["id"].to_pylist() == [each.hex() for each in wanted.tolist()]
    pyarrow.csv.write_csv(pa.table({"text": ["good", "bad"]}), tmp_path / "else.csv")
    with pytest.raises(SystemExit):
        main(["predict", str(folder), str(tmp_path / "else.csv"), "--out", str(tmp_path / "c.csv")])
    said = capsys.readouterr().err
    assert (
        "no column 'body', which the student was trained on; it has 'text': name the one to read with --input" in said
    )
    # They stay in an export, and what is no name is refused.
    overproof.export(folder, tmp_path / "exported")
    assert columns_of(tmp_path / "exported") == DataColumns(input="body", id="key")
    (folder / "student.json").write_text((folder / "student.json").read_text().replace('"body"', "7"))
    with pytest.raises(InputError, match=r"student\.json is damaged .columns has input 7; str is needed"):
        columns_of(folder)


@pytest.mark.parametrize("words", [[], ["--calibrate", "calibrate.csv", "--label", "colour"]])
def test_a_risk_is_kept_against_the_truth(finished, tmp_path, capsys, words):
    words = [str(finished / word) if word.endswith(".csv") else word for word in words]
    run_predict(finished, "--out", str(tmp_path / "a.csv"), "--risk", "0.12", *words, "--json")
    output = json.loads(capsys.readouterr().out)
    beside = json.loads((tmp_path / "a.risk.json").read_text())
    assert output["abstention"] == beside
    assert (beside["risk"], beside["confidence"]) == (0.12, 0.95)
    assert beside["bound"] <= 0.12
    assert beside["num_calibration"] == (1000 if words else 600)
    answers, truth = written(tmp_path / "a.csv"), written(finished / "new.csv")["colour"].to_pylist()
    assert (output["num_rows"], output["num_answered"]) == (3500, beside["num_answered"])
    given = [(a, b) for a, b in zip(answers["label"].to_pylist(), truth, strict=True) if a]
    assert len(given) == output["num_answered"]
    assert 0.3 * 3500 < len(given) < 3500
    assert (
        np.mean([a != b for a, b in given])
        < 0.12
        < np.mean([a != b for a, b in zip(best_guess(answers), truth, strict=True)])
    )
    assert output["rows_per_second"] > 0


def best_guess(answers):
    names = ["blue", "green", "red"]
    return [names[place] for place in np.stack([answers[name].to_numpy() for name in names]).argmax(axis=0)]


def test_what_it_was_trained_on_is_left_out(finished, tmp_path, capsys):
    """Of 1,500 labelled rows the student has seen 460, as labels or in the pool."""
    calibrate = ["--calibrate", str(finished / "all.csv"), "--label", "colour"]
    run_predict(finished, "--out", str(tmp_path / "a.parquet"), "--risk", "0.15", *calibrate)
    beside = json.loads((tmp_path / "a.risk.json").read_text())
    assert (beside["num_left_out"], beside["num_calibration"]) == (460, 1040)
    assert beside["left_out"] == {"labelled examples": 60, "pool": 400}
    assert (
        "460 labelled examples were left out, because the student was made from them (60 of its labelled examples, "
        "400 of its pool); the promise is for rows that it was not made from."
    ) in " ".join(capsys.readouterr().err.split())


def test_the_guarantee_is_printed(finished, tmp_path, capsys):
    run_predict(finished, "--out", str(tmp_path / "a.parquet"), "--risk", "0.15", "--confidence", "0.9")
    message = " ".join(capsys.readouterr().err.split())
    assert "the error rate of these predictions is at most 15.0%, at confidence 90%" in message
    assert "of 3500 rows have a class." in message
    assert "rows per second." in message


@pytest.mark.parametrize(
    ("row", "words", "message"),
    [
        ("slam", ["--risk", "0.1"], "were used to make this student (the teacher's errors were estimated on them)"),
        ("hard", ["--risk", "0.0001"], "No threshold keeps the risk below 0.0001"),
        ("hard", ["--risk", "1"], "must be strictly between 0 and 1"),
        ("hard", ["--label", "colour"], "--risk, which is not given"),
        ("hard", ["--risk", "0.1", "--calibrate", "calibrate.csv"], "needs --label"),
        ("hard", ["--risk", "0.1", "--calibrate", "seen.csv", "--label", "colour"], "holds only examples that the"),
        ("hard", ["--risk", "0.1", "--calibrate", "odd.csv", "--label", "colour"], "'pink'"),
        ("hard", ["--risk", "0.1", "--calibrate", "gap.csv", "--label", "colour"], "has no label in 1 of "),
    ],
)
def test_calibration_without_a_guarantee_is_rejected(finished, tmp_path, capsys, row, words, message):
    table = written(finished / "calibrate.csv")
    for name, colour in (("odd.csv", "pink"), ("gap.csv", None)):
        changed = pa.array([table["colour"][0].as_py(), colour, *table["colour"].to_pylist()[2:]])
        place = table.column_names.index("colour")
        pyarrow.csv.write_csv(table.set_column(place, "colour", changed), finished / name)
    words = [str(finished / word) if word.endswith(".csv") else word for word in words]
    with pytest.raises(SystemExit) as stopped:
        run_predict(finished, "--out", str(tmp_path / "a.csv"), *words, row=row)
    error = capsys.readouterr().err.strip()
    assert stopped.value.code == 2
    assert message in error
    assert "\n" not in error
    assert not list(tmp_path.iterdir())


def test_a_student_outside_of_its_run_needs_a_file(finished, tmp_path, capsys):
    overproof.export(finished / "run/students/seed-0/hard", tmp_path / "export")
    words = ["predict", str(tmp_path / "export"), str(finished / "new.csv"), "--out", str(tmp_path / "a.csv")]
    with pytest.raises(SystemExit):
        main([*words, "--risk", "0.1"])
    assert "is not in the folder of a run" in capsys.readouterr().err
    main([*words, "--risk", "0.12", "--calibrate", str(finished / "calibrate.csv"), "--label", "colour"])
    assert (tmp_path / "a.risk.json").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([], ""),
        (["train.early_stop_epochs=2"], "stop early"),
        (["methods=[{method: hard, name: one, rounds: 1}]"], "peer rounds"),
        (["methods=[{method: wd, name: one}]"], "estimated on them"),
        (["teacher=[{model: mlp}, {model: linear}]"], "weights of the teachers were fitted"),
        (["methods=[{method: labelled_only, name: one}]"], ""),
    ],
)
def test_how_validation_labels_are_used(changes, message):
    content = {
        "data": {"files": {"all": {"path": "a.csv"}}, "rows": {"labelled": 9, "validation": 9, "test": 9}},
        "methods": [{"method": "hard", "name": "one"}],
    }
    experiment = experiment_from(content, changes)
    row = next(each for each in experiment.rows() if each.row == "one")
    found = use_of_validation(experiment, row)
    assert message in found if message else found == ""
    assert bool(use_of_validation(experiment, None)) == ("stop early" in message)


@pytest.mark.parametrize("place", [0, 50])
def test_a_file_that_is_not_utf_8_is_refused_in_one_sentence_and_prints_nothing(
    tabular, tmp_path, small_pieces, capfd, place
):
    """In the first block or later, and in a row with too many cells, which Arrow shows to us."""
    pyarrow.csv.write_csv(a_table(), tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_bytes().split(b"\n")
    lines[place + 1] += b",\xff\xfe"
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines))
    # Its gaps are allowed: the file is read ahead, so that one of two faults could be found first by either reader.
    source = Source(path=str(tmp_path / "a.csv"), id="key", missing="allow")
    with pytest.raises(InputError, match="UTF-8"):
        predict(tabular[0], source, tmp_path / "out.csv")
    assert capfd.readouterr().err == ""
    assert not (tmp_path / "out.csv").exists()
