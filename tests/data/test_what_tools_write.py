"""Columns, types and metadata that data frame libraries and `datasets` write beside what the user meant."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from overproof.data import Source, from_arrays, pieces, read
from overproof.data.remarks import check_numbers, remarks_on, remarks_on_frames
from overproof.data.row_order import row_numbers
from overproof.errors import InputError

WORDS = ["b", "a", "b", "c", None]


def views(values):
    """Strings as Polars writes them to Arrow files."""
    return pa.array(values, pa.string_view())


def dictionary_of_views(values):
    """A Categorical or Enum column as Polars writes it."""
    codes = pa.array([None if value is None else "abc".index(value) for value in values], pa.uint32())
    return pa.DictionaryArray.from_arrays(codes, views(["a", "b", "c"]))


@pytest.fixture(params=["file", "stream"])
def polars_file(request, tmp_path):
    path = tmp_path / "a.arrow"
    parts = [
        pa.table(
            {"x": [0.5, 1.5], "word": views(some), "enum": dictionary_of_views(some), "part": dictionary_of_views("ab")}
        )
        for some in (WORDS[:2], WORDS[2:4])
    ]
    table = pa.concat_tables(parts)
    opened = pa.ipc.new_file if request.param == "file" else pa.ipc.new_stream
    with opened(path, table.schema) as writer:
        writer.write_table(table)
    return str(path)


def test_string_views_and_dictionaries_of_them_are_strings(polars_file):
    for label in ("word", "enum"):
        found = read(Source(path=polars_file, label=label), role="pool")
        assert [found.class_names[i] for i in found.label.tolist()] == WORDS[:4]
    text = read(Source(path=polars_file, input="enum", label="word"), role="pool")
    assert text.kind == "text"
    assert text.inputs.to_pylist() == WORDS[:4]
    some = read(Source(path=polars_file, label="word", where={"part": "b"}), role="pool")
    assert some.inputs["enum"].to_pylist() == ["a", "c"]
    # In pieces, and with the ids that the same rows have in a file of plain strings.
    parts = [part.ids for part in pieces(Source(path=polars_file, input="enum"), role="pool", max_rows=3)]
    assert np.concatenate(parts).tolist() == from_arrays(["b", "a", "b", "c"]).ids.tolist()


def hugging_face(folder, names, values, name="a.parquet"):
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": {"names": names, "_type": "ClassLabel"}}
    table = pa.table({"text": [f"text {i}" for i in range(len(values))], "label": pa.array(values, pa.int64())})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path = folder / name
    if name.endswith(".parquet"):
        pq.write_table(table, path)
    else:
        pa.feather.write_feather(table, path, compression="uncompressed")
    return str(path)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_class_names_are_in_the_metadata_of_datasets(tmp_path, name):
    path = hugging_face(tmp_path, ["neg", "pos"], [1, 0, -1, None, 1], name)
    found = read(Source(path=path, input="text", label="label"), role="pool")
    assert found.class_names == ("neg", "pos")
    assert found.label.tolist() == [1, 0, -1, -1, 1]
    turned = read(Source(path=path, input="text", label="label", classes=("pos", "neg")), role="pool")
    assert turned.label.tolist() == [0, 1, -1, -1, 0]


def test_files_with_other_class_names_are_not_read_as_one(tmp_path):
    hugging_face(tmp_path, ["neg", "pos"], [1, 0], "a.parquet")
    hugging_face(tmp_path, ["pos", "neg"], [1, 0], "b.parquet")
    with pytest.raises(InputError, match=r"b\.parquet\) names the classes 'pos', 'neg' .*a\.parquet 'neg', 'pos'"):
        read(Source(path=str(tmp_path / "*.parquet"), input="text", label="label"), role="pool")
    with pytest.raises(InputError, match="allowed are 0 to 1"):
        read(Source(path=hugging_face(tmp_path, ["neg", "pos"], [2, 0]), input="text", label="label"), role="pool")


def test_a_folder_of_mds_shards_is_refused_by_its_name(tmp_path):
    (tmp_path / "index.json").write_text(json.dumps({"version": 2, "shards": [{"format": "mds"}]}))
    (tmp_path / "shard.00000.mds.zstd").write_bytes(b"\x01\0\0\0")
    # `StreamingDataset` wants more options and refuses to be listed.
    words = r"'shard\.00000\.mds\.zstd', a shard of MosaicML Streaming .*: `pq\.write_table\(.*LocalDataset\(local='"
    with pytest.raises(InputError, match=words):
        read(Source(path=str(tmp_path), label="y"), role="pool")
    for path in ("*.zstd", "shard.00000.mds.zstd"):
        with pytest.raises(InputError, match=r"is a shard of MosaicML Streaming .*LocalDataset\(local='"):
            read(Source(path=str(tmp_path / path), label="y"), role="pool")


# --- columns that number the rows

N = 40
SHUFFLED = np.random.default_rng(0).permutation(N)
NOISE = np.random.default_rng(1).integers(0, 9, N)


def with_column(folder, name, values):
    """A table with a column of these values, one of noise, and a label."""
    path = folder / "a.csv"
    rows = [f"{value},{noise / 7},{'ab'[noise % 2]}" for value, noise in zip(values, NOISE, strict=True)]
    path.write_text("\n".join([f"{name},x,y", *rows]) + "\n")
    return path


def remarks_ignoring(path, *names):
    source = Source(path=str(path), label="y", ignore=names)
    return remarks_on(source, "pool", read(source, role="pool"))


@pytest.mark.parametrize(
    ("name", "values", "numbers_rows"),
    [
        ("index", SHUFFLED, True),
        ("Unnamed: 0", SHUFFLED + 1, True),
        ("patient", SHUFFLED, True),
        ("patient", np.arange(N), True),
        ("patient", np.arange(N) + 1.0, True),
        ("patient", np.arange(N) + 2, True),
        ("patient", 3 * np.arange(N) + 1000, True),
        ("patient", np.sort(np.random.default_rng(2).choice(10**6, N, replace=False)), True),
        ("patient", 5000 - np.arange(N), True),
        ("customer_id", 1_600_000_000 + NOISE.cumsum() + np.arange(N), True),
        # 25 rows of each of two files: one step back in 49 is more than one in 100.
        ("patient", np.tile(np.arange(N // 2) + 7, 2), False),
        ("patient", np.sort(NOISE), False),
        ("row", SHUFFLED * 7, True),
        ("row_nr", np.tile(np.arange(N // 2), 2), True),
        ("Row.ID", SHUFFLED * 7, True),
        ("level_0", SHUFFLED * 7, True),
        ("X", np.arange(N) * 7, True),
        ("X", SHUFFLED * 7, False),
        ("index", NOISE, False),
        ("index", NOISE + 0.5, False),
        ("patient", np.full(N, 1), False),
    ],
)
def test_columns_that_number_the_rows_are_found(tmp_path, name, values, numbers_rows):
    path = with_column(tmp_path, name, values)
    remarks = remarks_ignoring(path)
    assert len(remarks) == numbers_rows
    if numbers_rows:
        assert f"pool (a.csv): the column {name!r} numbers the rows" in remarks[0]
        assert f"write `ignore: ['{name}']`" in remarks[0]
        assert remarks_ignoring(path, name) == []


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("when", NOISE.cumsum() * 60 + np.arange(N), True),
        ("measured", 1_600_000_000 + NOISE.cumsum() + np.arange(N), True),
        ("year", 1900 + np.arange(N), True),
        ("price", np.sort(np.random.default_rng(2).random(N)), True),
        ("price", np.random.default_rng(2).random(N), False),
        ("price", np.sort(NOISE) / 2, False),
        ("taken", [f"2026-04-{1 + day // 2:02d} {12 * (day % 2):02d}:30:00" for day in range(N)], True),
        ("taken", [f"2026-04-{1 + day // 2:02d} {12 * (day % 2):02d}:30:00" for day in SHUFFLED], False),
    ],
)
def test_times_and_sorted_numbers_are_found_with_another_sentence(tmp_path, name, values, found):
    path = with_column(tmp_path, name, values)
    remarks = remarks_ignoring(path)
    assert len(remarks) == found
    if found:
        assert f"pool (a.csv): the rows are in the order of the column {name!r}, which is a feature now" in remarks[0]
        assert remarks[0].endswith(f"write `ignore: ['{name}']` to leave it out.")
        assert remarks_ignoring(path, name) == []


def test_a_column_that_the_rows_of_a_frame_are_sorted_by_is_found():
    features = {"x": NOISE / 7, "row": 3 * np.arange(N) + 1000, "taken": np.arange(N) ** 2 / 7}
    few, pool = from_arrays(pa.table(features).slice(0, 20)), from_arrays(pa.table(features), origin="pool")
    remarks = remarks_on_frames([few, pool])
    assert [each.split(",")[0] for each in remarks] == [
        "array: the column 'row' numbers the rows",
        "pool: the rows are in the order of the column 'taken'",
    ]


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["24.04.2026", "1.5.2026"], True),
        (["04/24/26", "12/31/25"], True),
        (["2026/04/24 10:00", ""], True),
        (["2026-04-24", "2026-05-01"], False),
        (["1.5", "north"], False),
        (["10-20-30-40", "1/2"], False),
    ],
)
def test_dates_in_another_form_than_isos_are_found(tmp_path, cells, found):
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["when,y", *(f"{cells[row % 2]},{'ab'[row % 2]}" for row in range(20))]) + "\n")
    source = Source(path=str(path), label="y", missing="allow")
    remarks = remarks_on(source, "pool", read(source, role="pool"))
    assert sum(f"holds dates such as {cells[0]!r}" in each for each in remarks) == found
    named = Source(path=str(path), label="y", missing="allow", categories=("when",))
    assert not any("holds dates" in each for each in remarks_on(named, "pool", read(named, role="pool")))


@pytest.mark.parametrize("write", [pq.write_table, pa.feather.write_feather])
def test_numbers_written_as_text_with_an_odd_cell_are_refused(tmp_path, write):
    cells = ["?", *(f"{i}.5" for i in range(29))]
    path = tmp_path / ("a.parquet" if write is pq.write_table else "a.feather")
    write(pa.table({"x": cells, "size": NOISE[:30] / 7, "y": ["a", "b"] * 15}), path)
    source = Source(path=str(path), label="y")
    with pytest.raises(InputError, match=r"has '\?' in column 'x', row 0 .* 29 of 30 are numbers written as text"):
        check_numbers(source, read(source, role="pool"))
    words = Source(path=str(path), label="y", categories=("x",))
    check_numbers(words, read(words, role="pool"))
    write(pa.table({"x": ["red"] * 4 + cells[4:], "y": ["a", "b"] * 15}), path)
    check_numbers(source, read(source, role="pool"))
    write(pa.table({"x": cells[1:], "y": ["a", "b"] * 14 + ["a"]}), path)
    assert read(source, role="pool").inputs["x"][0].as_py() == "0.5"
    check_numbers(source, read(source, role="pool"))


def test_few_rows_and_other_kinds_are_not_judged():
    assert row_numbers(from_arrays(pa.table({"index": range(9)}))) == []
    assert row_numbers(from_arrays(pa.table({"index": range(10)}))) == ["index"]
    assert row_numbers(from_arrays([f"text {i}" for i in range(20)])) == []


def test_a_named_index_of_pandas_that_was_left_out_is_named(tmp_path):
    table = pa.table({"x": [0.5, 1.5], "patient": [3, 9]})
    table = table.replace_schema_metadata({"pandas": json.dumps({"index_columns": ["patient"], "columns": []})})
    pq.write_table(table, tmp_path / "a.parquet")
    source = Source(path=str(tmp_path / "a.parquet"))
    (remark,) = remarks_on(source, "pool", read(source, role="pool"))
    assert "pool (a.parquet): 'patient' is the row index of a pandas frame" in remark
    named = Source(path=str(tmp_path / "a.parquet"), id="patient")
    assert remarks_on(named, "pool", read(named, role="pool")) == []


def test_texts_and_images_have_no_columns_to_speak_of():
    for inputs in ([f"text {i}" for i in range(40)], np.zeros((40, 8, 8), np.uint8)):
        assert remarks_on_frames([from_arrays(inputs), from_arrays(inputs)]) == []
