"""Columns, types and metadata that data frame libraries and `datasets` write beside what the user meant."""

import io
import json
import sys
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from PIL import Image

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


# --- MDS


def mds_index(folder, encoding="str", **changed):
    shard = {
        "version": 2, "format": "mds", "samples": 1, "compression": None, "hashes": [], "size_limit": 2**26,
        "column_names": ["x"], "column_encodings": [encoding], "column_sizes": [None],
        "raw_data": {"basename": "shard.00000.mds", "bytes": 4, "hashes": {}}, "zip_data": None,
    }  # fmt: skip
    (folder / "index.json").write_text(json.dumps({"version": 2, "shards": [{**shard, **changed}]}))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"encoding": "pkl"}, "has pickles in column 'x' .* can run code .* not; write the shards again"),
        ({"encoding": "ndarray:object"}, "has the encoding 'ndarray:object' in column 'x'"),
        ({"encoding": "json"}, "has the encoding 'json' in column 'x'"),
        ({"format": "xsv"}, "format 'xsv' of version 2 .*; 'mds' of version 2 is read"),
        ({"samples": None}, r"index\.json is damaged \(a shard is not described whole\)"),
        ({"raw_data": {"basename": "../a.mds", "bytes": 4}}, r"names the shard '\.\./a\.mds' .*; a file beside it"),
        ({"raw_data": {"basename": "b.mds", "bytes": 4}}, r"has no file 'b\.mds', which its index\.json names"),
    ],
)
def test_an_index_of_mds_is_checked_before_a_shard_is_read(tmp_path, monkeypatch, changed, words):
    monkeypatch.setitem(sys.modules, "streaming", None)
    mds_index(tmp_path, **changed)
    shard = tmp_path / "shard.00000.mds"
    shard.write_bytes(b"never")
    for path in (tmp_path, shard) if "raw_data" not in changed else (tmp_path,):
        with pytest.raises(InputError, match=words):
            read(Source(path=str(path), label="y"), role="pool")


def test_mds_shards_without_their_package_are_told_how_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "streaming", None)
    mds_index(tmp_path)
    (tmp_path / "shard.00000.mds").write_bytes(b"1234")
    for path in (tmp_path, tmp_path / "*.mds", tmp_path / "shard.00000.mds"):
        with pytest.raises(InputError, match=r"pip install mosaicml-streaming to .*LocalDataset\(local='") as refused:
            read(Source(path=str(path), label="y"), role="pool")
        assert len(str(refused.value).replace(str(tmp_path), "")) < 350
    (tmp_path / "index.json").unlink()
    with pytest.raises(InputError, match=r"has no index\.json beside"):
        read(Source(path=str(tmp_path), label="y"), role="pool")


@pytest.mark.parametrize("compression", [None, "zstd", "gz", "bz2:3"])
def test_mds_shards_are_read_in_the_order_of_the_index(tmp_path, compression):
    pytest.importorskip("streaming")
    from streaming import MDSWriter

    columns = {"text": "str", "n": "int", "x": "float32", "y": "str", "z": "str_decimal"}
    rows = [
        {"text": f"Straße {k}" * 30, "n": k - 3, "x": np.float32(k / 4), "y": "ab"[k % 2], "z": Decimal(k) / 8}
        for k in range(40)
    ]
    kept = {"out": str(tmp_path), "columns": columns, "compression": compression, "hashes": ["sha1", "xxh64"]}
    with MDSWriter(**kept, size_limit=2000) as writer:
        for row in rows:
            writer.write(row)
    assert len(list(tmp_path.glob("*.mds*"))) > 3
    found = read(Source(path=str(tmp_path), label="y"), role="pool")
    assert found.inputs.to_pydict() == {name: [row[name] for row in rows] for name in ("n", "text", "x", "z")}
    assert [found.class_names[k] for k in found.label] == [row["y"] for row in rows]
    # The shards say themselves what their columns are.
    index = (tmp_path / "index.json").read_text()
    (tmp_path / "index.json").write_text(index.replace('"n", "text"', '"text", "n"'))
    with pytest.raises(InputError, match=r"column_names differ from those of index\.json"):
        read(Source(path=str(tmp_path), label="y"), role="pool")
    (tmp_path / "index.json").write_text(index)
    # A byte of a value that is another one: the checksum tells.
    shard = sorted(tmp_path.glob("*.mds*"))[1]
    data = bytearray(shard.read_bytes())
    data[-3] ^= 1
    shard.write_bytes(data)
    with pytest.raises(InputError, match=rf"{shard.name}\) (has another sha1 than|cannot be unpacked|has .* bytes)"):
        read(Source(path=str(tmp_path), label="y"), role="pool")
    shard.unlink()
    with pytest.raises(InputError, match=r"which its index\.json names; copy all shards"):
        read(Source(path=str(tmp_path), label="y"), role="pool")


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
def test_images_of_mds_shards(tmp_path, encoding):
    pytest.importorskip("streaming")
    from streaming import MDSWriter

    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    files = []
    for image in pixels:
        file = io.BytesIO()
        Image.fromarray(image).save(file, encoding)
        files.append(file.getvalue())
    with MDSWriter(out=str(tmp_path), columns={"image": encoding, "label": "int"}) as writer:
        for k, file in enumerate(files):
            writer.write({"image": file, "label": k % 2})
    found = read(Source(path=str(tmp_path), label="label"), role="pool")
    assert found.kind == "image"
    wanted = np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files]).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(np.asarray(found.inputs), wanted)


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
