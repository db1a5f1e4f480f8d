"""Files of WEKA, LIBSVM, SQLite, DuckDB and JSON lists are read as their tools mean them, or say what to do."""

import gzip
import importlib.util
import json
import re
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io.arff
from sklearn.datasets import dump_svmlight_file, load_svmlight_files

import overproof
from overproof.commands.main import main
from overproof.data import Source, concatenate, read
from overproof.data.options import DataOptions
from overproof.data.preview import preview
from overproof.data.readers.arff import read_arff
from overproof.errors import InputError
from overproof.runs.experiment import experiment_from
from overproof.runs.read_roles import read_roles


def rows(path: Path, **options):
    return read(Source(path=str(path), **options), role="pool")


# --- ARFF

DENSE = """% a comment
@RELATION 'some flowers'
@attribute 'petal length' NUMERIC
@attribute colour {red, 'dark blue', "don\\'t know", ?x}
@attribute note string
@attribute kind {setosa,virginica}
@data
% another
1.5,red,'a, b',setosa
?,'dark blue',"it\\'s",virginica

-2e1,"don't know",plain,?
3 , ? , '?' , virginica
"""


def test_dense_rows_with_quotes_gaps_and_comments(tmp_path: Path):
    (tmp_path / "a.arff").write_text(DENSE)
    found = rows(tmp_path / "a.arff", label="kind", missing="allow")
    assert found.kind == "table"
    assert found.inputs.to_pydict() == {
        "petal length": [1.5, None, -20.0, 3.0],
        "colour": ["red", "dark blue", "don't know", None],
        "note": ["a, b", "it's", "plain", "?"],
    }
    assert found.class_names == ("setosa", "virginica")
    assert found.label.tolist() == [0, 1, -1, 1]
    (tmp_path / "a.arff.gz").write_bytes(gzip.compress(DENSE.encode()))
    np.testing.assert_array_equal(rows(tmp_path / "a.arff.gz", label="kind", missing="allow").ids, found.ids)
    assert preview(Source(path=str(tmp_path / "a.arff"), label="kind"), role="pool").num_rows == 4


SPARSE = """@relation r
@attribute a numeric
@attribute colour {red,blue}
@attribute b numeric
@attribute kind {no,yes}
@data
{0 2.5, 3 yes}
{1 blue, 2 ?}
{}
{1 ?,3 yes}
"""


def test_in_a_sparse_row_a_nominal_value_that_is_left_out_is_the_first(tmp_path: Path):
    (tmp_path / "a.arff").write_text(SPARSE)
    found = rows(tmp_path / "a.arff", label="kind", missing="allow")
    assert found.inputs.to_pydict() == {
        "a": [2.5, 0.0, 0.0, 0.0],
        "colour": ["red", "blue", "red", None],
        "b": [0.0, None, 0.0, 0.0],
    }
    assert [found.class_names[label] for label in found.label] == ["yes", "no", "no", "yes"]


def test_numbers_and_nominal_values_are_those_of_scipys_reader(tmp_path: Path):
    draw = np.random.default_rng(0)
    values, kinds = draw.normal(size=(60, 3)), draw.choice(["u", "v w", "x"], size=60)
    lines = [",".join([*map(repr, map(float, row)), f"'{kind}'"]) for row, kind in zip(values, kinds, strict=True)]
    head = "@relation r\n" + "".join(f"@attribute f{index} real\n" for index in range(3))
    (tmp_path / "a.arff").write_text(head + "@attribute kind {u,'v w',x}\n@data\n" + "\n".join(lines) + "\n")
    expected, _ = scipy.io.arff.loadarff(tmp_path / "a.arff")
    found = rows(tmp_path / "a.arff", label="kind")
    for name in ("f0", "f1", "f2"):
        np.testing.assert_array_equal(found.inputs[name].to_numpy(), expected[name])
    # scipy keeps the quotes.
    words = [word.decode().strip("'") for word in expected["kind"]]
    assert [found.class_names[label] for label in found.label] == words


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("arff") is None, reason="liac-arff is no dependency")
def test_files_of_liac_arff(tmp_path: Path):
    import arff

    content = {
        "relation": "r",
        "attributes": [("a", "REAL"), ("two words", ["it's", "b c", "d,e"]), ("t", "STRING"), ("kind", ["n", "y"])],
        "data": [[1.5, "it's", 'say "x", y', "n"], [None, "d,e", "back\\slash", "y"], [0.0, None, None, "n"]],
    }
    (tmp_path / "a.arff").write_text(arff.dumps(content))
    found = rows(tmp_path / "a.arff", label="kind", missing="allow")
    assert list(zip(*found.inputs.to_pydict().values(), strict=True)) == [tuple(row[:3]) for row in content["data"]]
    content["attributes"], content["data"] = content["attributes"][:2], [{0: 2.0}, {1: "b c"}, {}]
    (tmp_path / "b.arff").write_text(arff.dumps(content))
    found = rows(tmp_path / "b.arff")
    assert found.inputs.to_pydict() == {"a": [2.0, 0.0, 0.0], "two words": ["it's", "b c", "it's"]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("@data", "@dat"), "has no line @data"),
        (("1.5,red", "1.5,green"), r"'green' in the column 'colour', row 0 .*its values are 'red', 'dark blue'"),
        (("1.5,red", "x,red"), "'x' in the column 'petal length' of numbers, row 0"),
        (("'a, b',setosa", "'a, b',setosa, {5}"), "row 0 .* has a weight in braces at its end"),
        (("1.5,red,", "1.5,"), "has 4 columns, and row 0 .* holds 3 values"),
        (("note string", "note relational"), "column 'note' of type 'relational'"),
    ],
)
def test_a_damaged_arff_file_is_refused(tmp_path: Path, change: tuple[str, str], words: str):
    assert change[0] in DENSE
    (tmp_path / "a.arff").write_text(DENSE.replace(*change))
    with pytest.raises(InputError, match=words):
        rows(tmp_path / "a.arff", label="kind")


@pytest.mark.parametrize("row", ["{4 1}", "{0 1, 0 2}", "{0 1", "{a 1}"])
def test_a_damaged_sparse_row_is_refused(tmp_path: Path, row: str):
    (tmp_path / "a.arff").write_text(SPARSE.replace("{0 2.5, 3 yes}", row))
    with pytest.raises(InputError, match=r"row 0 .*pairs of a column's number, each once from 0 to 3"):
        rows(tmp_path / "a.arff", label="kind")


# --- LIBSVM


@pytest.mark.parametrize("zero_based", [True, False])
def test_features_are_called_by_the_number_in_the_file(tmp_path: Path, zero_based: bool):
    draw = np.random.default_rng(0)
    values = np.where(draw.random((60, 4)) < 0.5, draw.normal(size=(60, 4)), 0)
    dump_svmlight_file(values, draw.integers(1, 4, 60), str(tmp_path / "a.svm"), zero_based=zero_based)
    found = rows(tmp_path / "a.svm", label="label")
    assert found.inputs.column_names == [f"f{index + (not zero_based)}" for index in range(4)]
    np.testing.assert_allclose(np.stack([column.to_numpy() for column in found.inputs.columns], axis=1), values)
    assert found.class_names == ("1", "2", "3")


def test_one_count_of_features_for_all_files(tmp_path: Path):
    (tmp_path / "a.svm").write_text("+1 1:0.5 3:2 # a comment\n-1 2:1\n")
    (tmp_path / "b.svm").write_text("+1 2:1\n")
    with pytest.raises(InputError, match=r"'\+1', '-1'|-1"):
        rows(tmp_path / "a.svm", label="label")
    both = Source(path=(str(tmp_path / "a.svm"), str(tmp_path / "b.svm")), label="label", unlabelled=())
    assert read(both, role="pool").column_names == ["f1", "f2", "f3"]
    options = {"label": "label", "num_features": 4, "unlabelled": ()}
    found = [rows(tmp_path / name, **options) for name in ("a.svm", "b.svm")]
    assert found[0].inputs.to_pydict() == {"f1": [0.5, 0.0], "f2": [0.0, 1.0], "f3": [2.0, 0.0], "f4": [0.0, 0.0]}
    assert found[1].inputs.column_names == found[0].inputs.column_names
    with pytest.raises(InputError, match="has the feature 3, and `num_features` is 2"):
        rows(tmp_path / "a.svm", **{**options, "num_features": 2})
    with pytest.raises(InputError, match="num_features is 0; it must be 1 or more"):
        Source(path="a.svm", num_features=0)


def test_files_of_one_source_are_read_with_the_features_of_the_widest(tmp_path: Path):
    values = np.eye(6)
    for name, some in (("a", values[:5]), ("b", values)):
        dump_svmlight_file(some, np.arange(len(some)) % 2, str(tmp_path / f"{name}.svm"), zero_based=False)
    for given in ({}, {"num_features": 6}):
        found = rows(tmp_path / "*.svm", label="label", **given)
        assert found.inputs.column_names == [f"f{index}" for index in range(1, 7)]
    with pytest.raises(InputError, match="has the feature 6, and `num_features` is 5"):
        rows(tmp_path / "*.svm", label="label", num_features=5)
    parts = [rows(tmp_path / f"{name}.svm", label="label") for name in "ab"]
    with pytest.raises(InputError, match=r"'f6' are in only one of them .*, write `num_features: 6` for every file\.$"):
        concatenate(parts)


def test_a_run_and_predict_on_files_that_reach_different_features(tmp_path: Path, capsys):
    values = np.random.default_rng(0).normal(size=(90, 6))
    values[30:, 5] = 0
    label = (values[:, 0] > 0).astype(int)
    content = {
        "data": {"files": {}},
        "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 2},
        "student": {"name": "linear"},
        "train": {"epochs": 1},
        "methods": ["hard"],
        "seeds": [0],
    }
    for name, part in (("labelled", slice(0, 30)), ("pool", slice(30, 60)), ("test", slice(60, 90))):
        dump_svmlight_file(values[part], label[part], str(tmp_path / f"{name}.svm"), zero_based=False)
        use = {"ignore": ["label"]} if name == "pool" else {"label": "label"}
        content["data"]["files"][name] = {"path": str(tmp_path / f"{name}.svm"), **use}
    content["data"]["files"]["test"]["num_features"] = 5
    with pytest.raises(InputError, match=r"^labelled .* has the feature 6, and `num_features` is 5; write the largest"):
        overproof.run(experiment_from(content), tmp_path / "run")
    del content["data"]["files"]["test"]["num_features"]
    overproof.run(experiment_from(content), tmp_path / "run")
    # A new file need not reach the last feature.
    main(["predict", str(tmp_path / "run"), str(tmp_path / "test.svm"), "--out", str(tmp_path / "p.csv"), "--quiet"])
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 31
    capsys.readouterr()


def test_roles_of_different_widths_have_the_columns_of_load_svmlight_files(tmp_path: Path):
    draw, widths = np.random.default_rng(0), {"labelled": 4, "pool": 7, "test": 5}
    paths = {name: str(tmp_path / f"{name}.svm") for name in widths}
    for name, width in widths.items():
        values = np.where(draw.random((20, width)) < 0.5, draw.normal(size=(20, width)), 0)
        values[0] = 1
        dump_svmlight_file(values, np.arange(20) % 2, paths[name], zero_based=False)
    wanted = dict(zip(paths, load_svmlight_files([*paths.values()])[::2], strict=True))
    ids = []
    for order in (list(paths), list(paths)[::-1]):
        files = {name: Source(path=paths[name], label="label") for name in order}
        roles = read_roles(DataOptions(files=files))
        for name, matrix in wanted.items():
            table = roles.fixed[name].inputs
            assert table.column_names == [f"f{index}" for index in range(1, 8)]
            np.testing.assert_array_equal(np.stack([each.to_numpy() for each in table.columns], 1), matrix.toarray())
        words = "reach different features (labelled 4, pool 7, test 5): all are read with 7, and a feature"
        assert [words in each for each in roles.remarks].count(True) == 1
        ids.append({name: roles.fixed[name].ids.tolist() for name in paths})
    assert ids[0] == ids[1]
    # One number of one role counts for all; two are refused.
    files["test"] = replace(files["test"], num_features=9)
    assert len(read_roles(DataOptions(files=files)).fixed["labelled"].column_names) == 9
    files["pool"] = replace(files["pool"], num_features=8)
    with pytest.raises(InputError, match=r"`num_features` is 8 for pool, 9 for test; all files .* write the largest"):
        read_roles(DataOptions(files=files))


@pytest.mark.parametrize("short", ["pool", "test"])
def test_roles_of_different_columns_are_refused_before_anything_is_made(tmp_path: Path, short: str):
    files = {}
    for name in ("labelled", "pool", "test"):
        head, row = ("a,kind", "1,{}") if name == short else ("a,b,kind", "1,2,{}")
        lines = [row.format("yn"[index % 2]).replace("1,", f"{index},", 1) for index in range(30)]
        (tmp_path / f"{name}.csv").write_text("\n".join([head, *lines]) + "\n")
        files[name] = {"path": str(tmp_path / f"{name}.csv"), "label": "kind"}
    content = {
        "data": {"files": files}, "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 2},
        "student": {"name": "linear"}, "train": {"epochs": 1}, "methods": ["hard"], "seeds": [0],
    }  # fmt: skip
    with pytest.raises(InputError, match=r"do not have the same columns; 'b' are in only one of them .* both\.$"):
        overproof.run(experiment_from(content), tmp_path / "run")


def test_an_object_of_columns_is_no_row(tmp_path: Path):
    # As pandas writes a frame of two rows by `orient`: columns, index, split.
    columns = {"text": {"0": "so good", "1": "bad"}, "kind": {"0": "y", "1": "n"}}
    index = {"0": {"text": "so good", "kind": "y"}, "1": {"text": "bad", "kind": "n"}}
    split = {"columns": ["text", "kind"], "index": [0, 1], "data": [["so good", "y"], ["bad", "n"]]}
    for written in (columns, index, split):
        (tmp_path / "a.json").write_text(json.dumps(written))
        with pytest.raises(
            InputError, match=r"is one object, .*to_json\('a.json', orient='records', lines=True\)"
        ) as error:
            rows(tmp_path / "a.json", input="text", label="kind")
        assert len(str(error.value)) < 250
    (tmp_path / "a.json").write_text("\n".join(map(json.dumps, index.values())))
    assert rows(tmp_path / "a.json", input="text", label="kind").inputs.to_pylist() == ["so good", "bad"]


def test_a_type_with_many_fields_is_cut_in_a_message(tmp_path: Path):
    wide = pa.table({"a": pa.array([{f"field {index}": 1 for index in range(200)}] * 2)})
    pq.write_table(wide, tmp_path / "a.parquet")
    with pytest.raises(
        InputError, match=r"values of type struct<field 0: int64, field 1: int64.*… in column 'a'"
    ) as error:
        rows(tmp_path / "a.parquet")
    assert len(str(error.value)) < 400


def test_queries_several_labels_and_many_features(tmp_path: Path):
    path = tmp_path / "a.libsvm"
    path.write_text("1 qid:3 1:0.5\n2 qid:4 2:1\n")
    found = rows(path, label="label", group="qid")
    assert found.group.to_pylist() == ["3", "4"]
    assert found.inputs.column_names == ["f1", "f2"]
    path.write_text("1 1:1\n2,3 1:0.5\n")
    with pytest.raises(InputError, match="has the labels '2,3' in row 1"):
        rows(path, label="label")
    path.write_text("1 1000000:1\n2 1:1\n")
    with pytest.raises(
        InputError, match=r"2 rows of 1000000 features, 0\.016 GB with their zeros, and 0\.001 are allowed"
    ):
        rows(path, label="label", max_unpacked_gb=0.001)
    path.write_text("1 1:x\n")
    with pytest.raises(InputError, match="is no file of LIBSVM"):
        rows(path, label="label")


# --- databases


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    path = tmp_path / "tickets.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE tickets (id INTEGER, text TEXT, queue TEXT, hours REAL, odd)")
        connection.executemany(
            "INSERT INTO tickets VALUES (?, ?, ?, ?, ?)",
            [(1, "late", "mail", 1.5, 1), (2, "broken", None, 2, "x"), (3, "lost", "phone", None, None)],
        )
    connection.close()
    return path


def test_the_rows_of_a_query(tickets: Path):
    query = "SELECT id, text, queue FROM tickets ORDER BY id DESC"
    found = rows(tickets, query=query, input="text", label="queue", id="id")
    assert found.inputs.to_pylist() == ["lost", "broken", "late"]
    assert found.keys.to_pylist() == ["3", "2", "1"]
    assert [found.class_names[label] if label >= 0 else None for label in found.label] == ["phone", None, "mail"]
    table = rows(tickets, query="SELECT hours, count(*) OVER () AS all_rows FROM tickets", missing="allow")
    assert table.inputs.to_pydict() == {"hours": [1.5, 2.0, None], "all_rows": [3, 3, 3]}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (None, r"`query: SELECT \* FROM tickets`; its tables are 'tickets'"),
        ("SELECT odd FROM tickets", r"types 'int', 'str' in column 'odd'; write CAST\(odd AS TEXT\)"),
        ("SELECT other FROM tickets", "fails: no such column: other"),
        ("DELETE FROM tickets", "fails: not authorized"),
        ("ATTACH DATABASE 'other.sqlite' AS other", "fails: not authorized"),
        ("PRAGMA user_version", "fails: not authorized"),
    ],
)
def test_a_query_reads_alone(tickets: Path, query: str | None, words: str):
    before = tickets.read_bytes()
    with pytest.raises(InputError, match=words):
        rows(tickets, query=query)
    assert tickets.read_bytes() == before
    assert [each.name for each in tickets.parent.iterdir()] == [tickets.name]


def test_rows_that_are_not_in_the_file_yet_are_not_left_out(tickets: Path):
    connection = sqlite3.connect(tickets)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("INSERT INTO tickets VALUES (4, 'new', 'mail', 1.0, 1)")
    connection.commit()
    with pytest.raises(InputError, match=r"rows in tickets\.sqlite-wal that are not in the file yet"):
        rows(tickets, query="SELECT id, text FROM tickets", input="text", id="id")
    connection.close()
    assert len(rows(tickets, query="SELECT id, text FROM tickets", input="text", id="id")) == 4


def test_what_is_no_database_is_refused(tmp_path: Path):
    (tmp_path / "a.db").write_bytes(b"something else")
    with pytest.raises(InputError, match="is no SQLite or DuckDB file"):
        rows(tmp_path / "a.db", query="SELECT 1")


def test_an_odd_cell_among_the_numbers_of_a_database_is_named_with_queries_that_read_it(tmp_path):
    """SQLite makes 0 of `?` and 1 of `1,234` where they are cast to numbers."""
    path = tmp_path / "a.sqlite"
    for cell in ("?", "1,234", "it's"):
        path.unlink(missing_ok=True)
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE t (x REAL, y TEXT)")
            values = [(cell if row == 7 else row + 0.5 if row % 2 else row, "ab"[row % 2]) for row in range(40)]
            connection.executemany("INSERT INTO t VALUES (?, ?)", values)
        connection.close()
        with pytest.raises(InputError) as refused:
            rows(path, query="SELECT x, y FROM t", label="y")
        words = str(refused.value)
        assert f"has {cell!r} in column 'x', row 7 (counting from 0), where 39 of 40 are numbers: write " in words
        empty = re.search(r"NULLIF\(.*?\) AS x", words)[0]
        found = rows(path, query=f"SELECT {empty}, y FROM t", label="y", missing="allow").inputs["x"]
        assert found.to_pylist() == [None if row == 7 else value for row, (value, _) in enumerate(values)]
        found = rows(path, query="SELECT CAST(x AS TEXT) AS x, y FROM t", label="y", categories=("x",)).inputs["x"]
        assert (found[7].as_py(), found[8].as_py()) == (cell, "8.0")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("duckdb") is None, reason="duckdb is no dependency")
def test_a_duckdb_file(tmp_path: Path):
    import duckdb

    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TYPE colour AS ENUM ('red', 'blue')")
        connection.execute("CREATE TABLE t AS SELECT i AS id, i / 4 AS x, (i % 2 = 0) AS even FROM range(6) s(i)")
        connection.execute("ALTER TABLE t ADD COLUMN c colour")
        connection.execute("UPDATE t SET c = CASE WHEN id < 3 THEN 'red' ELSE 'blue' END")
    query = "SELECT id, x, c, sum(id) OVER () AS total, even FROM t ORDER BY id"
    found = rows(path, query=query, label="c", id="id")
    assert [found.class_names[label] for label in found.label] == ["red"] * 3 + ["blue"] * 3
    assert found.inputs.to_pydict() == {
        "x": [0.0, 0.25, 0.5, 0.75, 1.0, 1.25], "total": [15.0] * 6, "even": [True, False] * 3,
    }  # fmt: skip
    with pytest.raises(InputError, match="its tables are 't'"):
        rows(path)
    for query in ("DELETE FROM t", f"SELECT * FROM read_csv('{__file__}')", f"ATTACH '{tmp_path}/b.duckdb'"):
        with pytest.raises(InputError, match="fails"):
            rows(path, query=query)


# --- JSON


def test_a_list_of_objects_is_read_as_one_a_line(tmp_path: Path):
    content = [{"key": f"k{index}", "text": f"word é {index}", "label": ["a", "b"][index % 2]} for index in range(5)]
    content[3]["extra"] = 1.25
    (tmp_path / "a.json").write_text(json.dumps(content, indent=2))
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(json.dumps(content).encode()))
    options = {"input": "text", "label": "label", "id": "key"}
    lines = rows(tmp_path / "a.jsonl", **options)
    for name in ("a.json", "b.json.gz"):
        found = rows(tmp_path / name, **options)
        np.testing.assert_array_equal(found.ids, lines.ids)
        assert found.label.tolist() == lines.label.tolist() == [0, 1, 0, 1, 0]
        assert preview(Source(path=str(tmp_path / name), **options), role="pool").num_rows == 5
    (tmp_path / "c.json").write_text('[{"a": 1}, 2]')
    with pytest.raises(InputError, match=r"a JSON list with a int in row 1"):
        rows(tmp_path / "c.json")
    (tmp_path / "c.json").write_text('[{"a": 1}, {"a"')
    with pytest.raises(InputError, match="starts as a JSON list and is damaged"):
        rows(tmp_path / "c.json")


def test_values_keep_line_separators_that_are_not_ends_of_lines(tmp_path):
    words = ["a\x0cb", "a\u2028b", "a\x85b", "a\x1cb"]
    lines = [f"'{word}',{kind}" for word, kind in zip(words, "uxux", strict=True)]
    head = "@relation r\n@attribute text string\n@attribute kind {u,x}\n@data\n"
    for end in ("\n", "\r\n", "\r"):
        content = (head.replace("\n", end) + end.join(lines) + end).encode()
        (tmp_path / "a.arff").write_bytes(content)
        assert read_arff(tmp_path / "a.arff", Source(path=""), "a.arff")["text"].to_pylist() == words
    (tmp_path / "b.arff").write_bytes((head + "\n".join(lines)).encode("utf-8-sig"))
    assert read_arff(tmp_path / "b.arff", Source(path=""), "b.arff")["text"].to_pylist() == words


def test_an_arff_file_in_another_encoding_is_refused_with_its_line(tmp_path):
    (tmp_path / "a.arff").write_bytes("@relation r\n@attribute t string\n@data\n'tea'\n'café'\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.arff\) is not UTF-8 in line 5; save the file as UTF-8"):
        preview(Source(path=str(tmp_path / "a.arff")), role="pool")


def test_arff_is_read_as_weka_reads_it(tmp_path):
    head = "@relation r\n@attribute a numeric\n@attribute y {p, \"q}r\", 's,t'} % kinds\n"
    path = tmp_path / "a.arff"
    path.write_text(head + "@DATA % rows\n1e3,p\n-.5,\"q}r\"\n7.,'s,t'\n")
    found = read_arff(path, Source(path=""), "a.arff")
    assert found.to_pydict() == {"a": [1000.0, -0.5, 7.0], "y": ["p", "q}r", "s,t"]}
    for row, message in (
        ("1_000,p", "'1_000' in the column 'a' of numbers"),
        ("١,p", "'١' in the column 'a' of numbers"),
    ):
        path.write_text(head + f"@data\n{row}\n")
        with pytest.raises(InputError, match=message):
            read_arff(path, Source(path=""), "a.arff")
    path.write_text(head + "@data1,p\n2,p\n")
    with pytest.raises(InputError, match="has no line @data"):
        read_arff(path, Source(path=""), "a.arff")
    path.write_text("@relation r\n@attribute y {a, b\n@data\na\n")
    with pytest.raises(InputError, match=r"has the column 'y' with the values '\{a, b'; a list in braces is needed"):
        read_arff(path, Source(path=""), "a.arff")
