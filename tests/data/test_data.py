"""Examples keep their ids and labels through every file format, order, split and selection."""

import gzip
import hashlib
import io
import itertools
import json
import struct
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from overproof.data import (
    Examples,
    Source,
    aligned,
    check_classes,
    class_space,
    concatenate,
    duplicates,
    from_arrays,
    read,
    split,
)
from overproof.data.ids import image_ids, table_ids, text_ids
from overproof.data.splits import _shares
from overproof.errors import InputError

quick = settings(max_examples=30, deadline=None, derandomize=True, database=None)


def png(array, format="PNG"):
    file = io.BytesIO()
    Image.fromarray(array).save(file, format)
    return file.getvalue()


def write_idx(path, array, code=0x08):
    data = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def write_parquet(path, columns, **options):
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path, **options)
    return str(path)


def write_text(path, text):
    path.write_bytes(text.encode())
    return str(path)


def ids(examples):
    return examples.ids.tolist()


def names(examples):
    """The labels in words, None where unknown."""
    return [examples.class_names[i] if i >= 0 else None for i in examples.label.tolist()]


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (7, 5, 4), dtype=np.uint8)


# ids


def test_the_same_pixels_have_the_same_ids_in_every_format(tmp_path, pixels):
    label = np.array([2, 0, 1, 2, 0, 1, 2], np.uint8)
    np.savez(tmp_path / "a.npz", x=pixels, y=label)
    labels = write_idx(tmp_path / "a-idx1-ubyte", label)
    hf = pa.array([{"bytes": png(image), "path": "x.png"} for image in pixels])
    sources = [
        Source(path=str(tmp_path / "a.npz"), input="x", label="y"),
        Source(path=str(tmp_path / "a.npz"), label="y"),
        Source(path=write_idx(tmp_path / "a-idx3-ubyte", pixels), label=labels),
        Source(path=write_idx(tmp_path / "a-idx3-ubyte.gz", pixels), label=labels),
        Source(path=write_parquet(tmp_path / "a.parquet", {"x": [png(p) for p in pixels], "y": label}), label="y"),
        Source(path=write_parquet(tmp_path / "b.parquet.brotli", {"x": hf, "y": label}), input="x", label="y"),
    ]
    expected = from_arrays(pixels, label)
    for source in sources:
        found = read(source, role="pool")
        assert found.kind == "image"
        assert found.origin == f"pool ({source.path.rpartition('/')[2]})"
        assert ids(found) == ids(expected)
        assert found.digest() == expected.digest()
        assert torch.equal(found.inputs, torch.from_numpy(pixels)[:, None])
        assert names(found) == ["2", "0", "1", "2", "0", "1", "2"]


def test_colour_images_come_out_channels_first(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    file = write_parquet(tmp_path / "a.parquet", {"x": [png(image) for image in colour]})
    found = read(Source(path=file), role="pool")
    expected = torch.from_numpy(colour).permute(0, 3, 1, 2)
    assert torch.equal(found.inputs, expected)
    assert ids(found) == ids(from_arrays(colour)) == ids(from_arrays(expected.contiguous()))
    jpeg = write_parquet(tmp_path / "b.parquet", {"x": [png(image, "JPEG") for image in colour]})
    assert read(Source(path=jpeg), role="pool").inputs.shape == (2, 3, 5, 4)


def test_the_same_bytes_in_another_shape_are_another_image():
    flat = torch.arange(24, dtype=torch.uint8)
    shapes = [(1, 1, 4, 6), (1, 1, 6, 4), (1, 3, 2, 4), (1, 1, 1, 24)]
    assert len({image_ids(flat.reshape(shape)).tobytes() for shape in shapes}) == 4


def test_an_image_a_text_and_a_table_never_share_an_id():
    letter = torch.tensor([[[[97]]]], dtype=torch.uint8)
    found = {
        image_ids(letter).tobytes(),
        text_ids(pa.array(["a"])).tobytes(),
        table_ids(pa.table({"": ["a"]})).tobytes(),
    }
    assert len(found) == 3


def test_ids_are_the_hash_they_promise_so_that_stored_answers_stay_valid():
    def hashed(data):
        return hashlib.blake2b(data, digest_size=16).digest()

    assert text_ids(pa.array(["good"])).tobytes() == hashed(b"textgood")
    image = torch.tensor([[[[1, 2, 3]], [[4, 5, 6]]]], dtype=torch.uint8)
    assert image_ids(image).tobytes() == hashed(b"image" + struct.pack("<3I", 2, 1, 3) + bytes([1, 2, 3, 4, 5, 6]))
    row = pa.table({"b": ["x"], "a": [1.5], "c": [-3], "d": [True], "e": pa.array([None], pa.int32())})
    header = b"table" + b"".join(b"\x01\0\0\0" + name for name in (b"a", b"b", b"c", b"d", b"e"))
    real = b"\x02" + struct.pack("<d", 1.5) + bytes(8)
    string = b"\x04" + hashed(b"x")
    whole = b"\x01" + struct.pack("<q", -3) + b"\x01" + bytes(7)
    true = b"\x03\x01" + bytes(15)
    assert table_ids(row).tobytes() == hashed(header + real + string + whole + true + bytes(17))


def test_table_ids_do_not_see_order_chunks_or_encoding():
    whole = pa.table({"n": [1, 2, 3], "w": ["x", "y", "x"], "r": [0.5, 2.0, None]})
    expected = table_ids(whole).tolist()
    assert len(set(expected)) == 3
    assert table_ids(whole.select(["r", "n", "w"])).tolist() == expected
    assert table_ids(pa.concat_tables([whole.slice(0, 1), whole.slice(1)])).tolist() == expected
    assert table_ids(whole.set_column(1, "w", whole["w"].dictionary_encode())).tolist() == expected
    assert table_ids(whole.set_column(1, "w", whole["w"].cast(pa.large_string()))).tolist() == expected
    assert table_ids(whole.take([2, 0, 1])).tolist() == [expected[2], expected[0], expected[1]]
    assert table_ids(whole.rename_columns(["n", "w", "q"])).tolist() != expected


def test_table_ids_are_the_same_whatever_the_block(monkeypatch):
    table = pa.table({"n": list(range(10)), "w": list("abcabcabca")})
    expected = table_ids(table).tolist()
    monkeypatch.setattr("overproof.data.ids._BLOCK_ROWS", 3)
    assert table_ids(table).tolist() == expected


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (pa.array([3], pa.int8()), pa.array([3], pa.uint64())),
        (pa.array([-3], pa.int16()), pa.array([-3.0], pa.float64())),
        (pa.array([3], pa.int64()), pa.array([3.0], pa.float32())),
        (pa.array([-0.0]), pa.array([0.0])),
        (pa.array([0.5], pa.float32()), pa.array([0.5], pa.float64())),
        (pa.array([None], pa.float32()), pa.array([float("nan")], pa.float64())),
        (pa.array([None], pa.null()), pa.array([None], pa.string())),
        (pa.array([None], pa.int64()), pa.array([None], pa.bool_())),
    ],
)
def test_equal_values_are_the_same_cell(a, b):
    assert table_ids(pa.table({"c": a})).tobytes() == table_ids(pa.table({"c": b})).tobytes()


def test_different_values_are_different_cells():
    cells = [
        *(pa.array([value], pa.int64()) for value in (0, 1, -1, 2**53, 2**53 + 1, -(2**63))),
        pa.array([2**64 - 1], pa.uint64()),
        pa.array([2**63], pa.uint64()),
        *(pa.array([value], pa.float64()) for value in (0.5, -0.5, 1e300, 5e-324, 2.0**63 * 4)),
        *(pa.array([value]) for value in (True, False, "", "1", "true")),
        pa.array([None], pa.string()),
    ]
    assert len({table_ids(pa.table({"c": cell})).tobytes() for cell in cells}) == len(cells)


rows = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.text(max_size=4), st.booleans()), min_size=1, max_size=8)


@quick
@given(rows=rows, data=st.data())
def test_rows_share_an_id_exactly_when_they_are_equal(rows, data):
    table = pa.table({name: list(column) for name, column in zip("nwb", zip(*rows, strict=True), strict=True)})
    found = table_ids(table).tolist()
    for i, j in itertools.combinations(range(len(rows)), 2):
        assert (found[i] == found[j]) == (rows[i] == rows[j])
    order = data.draw(st.permutations(range(len(rows))))
    assert table_ids(table.take(order)).tolist() == [found[i] for i in order]


@quick
@given(st.lists(st.text(), min_size=1, max_size=6))
def test_texts_share_an_id_exactly_when_they_are_equal(texts):
    found = ids(from_arrays(texts))
    assert len(set(found)) == len(set(texts))
    assert found == [ids(from_arrays([text]))[0] for text in texts]


def test_the_digest_sees_order_and_kind_but_not_labels():
    texts = from_arrays(["a", "b"], [0, 1])
    assert texts.digest() == from_arrays(["a", "b"], [1, 1]).digest()
    assert texts.digest() != from_arrays(["b", "a"]).digest()
    assert texts.digest() != replace(texts, kind="table").digest()
    assert len(texts.digest()) == 32


# files of columns


CSV = 'id,text,stars,good\n007,"so, so",1,false\nb,"two\nlines",,true\n9,é,5,true\n'


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".tsv", ".parquet", ".parquet.brotli"])
def test_texts_read_the_same_from_every_file(tmp_path, suffix):
    path = tmp_path / f"reviews{suffix}"
    if ".parquet" in suffix:
        text = pa.array(["so, so", "two\nlines", "é"]).dictionary_encode()
        columns = {"id": ["007", "b", "9"], "text": text, "stars": [1, None, 5], "good": [False, True, True]}
        write_parquet(path, columns, compression="brotli")
    elif suffix == ".csv.gz":
        path.write_bytes(gzip.compress(CSV.encode()))
    else:
        write_text(
            path, CSV if suffix == ".csv" else CSV.replace("so, so", "so; so").replace(",", "\t").replace(";", ",")
        )
    found = read(Source(path=str(path), input="text", label="stars", id="id"), role="labelled")
    assert found.kind == "text"
    assert found.inputs.to_pylist() == ["so, so", "two\nlines", "é"]
    assert names(found) == ["1", None, "5"]
    assert found.class_names == ("1", "5")
    assert found.keys.to_pylist() == ["007", "b", "9"]
    assert ids(found) == ids(from_arrays(["so, so", "two\nlines", "é"]))
    flags = read(Source(path=str(path), input="text", label="good"), role="labelled")
    assert names(flags) == ["false", "true", "true"]


def test_a_table_takes_every_column_that_is_named_nowhere_else(tmp_path):
    columns = {"a": [1, 2], "b": ["x", "y"], "y": ["n", "p"], "k": [5, 6], "s": ["t", "t"], "drop": [0, 0]}
    # What pandas saves as its row index is not data.
    columns["__index_level_0__"] = [10, 11]
    file = write_parquet(tmp_path / "a.parquet", columns)
    source = Source(path=file, label="y", id="k", where={"s": "t"}, ignore=("drop",))
    found = read(source, role="pool")
    assert found.kind == "table"
    assert found.inputs.to_pydict() == {"a": [1, 2], "b": ["x", "y"]}
    assert read(replace(source, kind="table", input="b"), role="pool").inputs.column_names == ["b"]


def test_a_csv_without_header_names_its_columns_and_skips_declarations(tmp_path):
    body = "1,2.5,A\n3,4,B\n"
    plain = read(Source(path=write_text(tmp_path / "a.dat", body), label="c2", header=False), role="pool")
    declared = write_text(tmp_path / "b.dat", "@relation x\n@data\n" + body)
    found = read(Source(path=declared, label="c2", header=False), role="pool")
    assert found.inputs.to_pydict() == plain.inputs.to_pydict() == {"c0": [1, 3], "c1": [2.5, 4.0]}
    assert names(found) == ["A", "B"]


def test_every_row_of_a_csv_has_a_say_in_its_columns_type(tmp_path):
    many = "n,y\n" + "1,0\n" * 400_000 + "x,1\n" * 50_000
    found = read(Source(path=write_text(tmp_path / "a.csv", many), label="y"), role="pool")
    assert found.inputs.schema.field("n").type == pa.large_string()
    assert found.inputs["n"][-1].as_py() == "x"


def test_a_row_may_be_longer_than_the_readers_usual_block(tmp_path):
    long = "word " * 700_000
    found = read(Source(path=write_text(tmp_path / "a.csv", f'text,y\n"{long}",1\nb,0\n'), input="text"), role="pool")
    assert found.inputs.to_pylist() == [long, "b"]


def test_ids_and_texts_of_digits_stay_as_they_are_spelled(tmp_path):
    file = write_text(tmp_path / "a.csv", "k,text\n007,1.50\n010,2\n")
    found = read(Source(path=file, kind="text", input="text", id="k"), role="pool")
    assert found.keys.to_pylist() == ["007", "010"]
    assert found.inputs.to_pylist() == ["1.50", "2"]


def test_the_same_row_in_two_files_is_found_although_one_shows_whole_numbers_only(tmp_path):
    a = read(Source(path=write_text(tmp_path / "a.csv", "n,w\n1,x\n2,y\n")), role="labelled")
    b = read(Source(path=write_text(tmp_path / "b.csv", "n,w\n2.5,x\n2,y\n")), role="test")
    assert duplicates(a, b).tolist() == [1]


def test_rows_are_chosen_before_anything_else(tmp_path):
    columns = {"text": [None, "a", "b", "c"], "y": [3, 0, 1, -1], "part": pa.array(["x", "t", "t", "t"])}
    columns["part"] = columns["part"].dictionary_encode()
    file = write_parquet(tmp_path / "a.parquet", columns)
    found = read(Source(path=file, input="text", label="y", where={"part": "t"}, unlabelled=-1), role="pool")
    assert found.inputs.to_pylist() == ["a", "b", "c"]
    assert found.class_names == ("0", "1")
    one = read(Source(path=file, input="text", where={"part": "t", "y": 1}), role="pool")
    assert one.inputs.to_pylist() == ["b"]
    assert one.class_names == ()
    assert one.label.tolist() == [-1]


def test_rows_of_an_archive_are_chosen_too(tmp_path, pixels):
    np.savez(tmp_path / "a.npz", x=pixels, y=np.arange(7), fold=np.array([0, 1, 0, 1, 0, 1, 0]))
    found = read(Source(path=str(tmp_path / "a.npz"), label="y", where={"fold": 1}), role="pool")
    assert names(found) == ["1", "3", "5"]
    assert ids(found) == ids(from_arrays(pixels[[1, 3, 5]]))


def test_missing_inputs_are_dropped_or_allowed_when_asked(tmp_path):
    text = write_text(tmp_path / "a.csv", "text,y\nfine,0\n   ,1\n,1\nbad,\n")
    source = Source(path=text, input="text", label="y")
    dropped = read(replace(source, missing="drop"), role="pool")
    assert dropped.inputs.to_pylist() == ["fine", "bad"]
    assert names(dropped) == ["0", None]
    assert read(replace(source, missing="allow"), role="pool").inputs.to_pylist() == ["fine", "   ", "", "bad"]
    table = write_parquet(tmp_path / "b.parquet", {"a": [1.0, float("nan"), 3.0], "b": ["x", "y", None]})
    assert read(Source(path=table, missing="drop"), role="pool").inputs.to_pydict() == {"a": [1.0], "b": ["x"]}
    assert len(read(Source(path=table, missing="allow"), role="pool")) == 3
    images = write_parquet(tmp_path / "c.parquet", {"x": [png(np.zeros((2, 2), np.uint8)), None], "y": [1, 0]})
    assert names(read(Source(path=images, label="y", missing="drop"), role="pool")) == ["1"]


def test_a_data_file_of_a_package_is_found_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / "bakery_reviews"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    write_text(package / "data" / "a.csv", "text,y\ngood,1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = read(Source(path="package:bakery_reviews/data/a.csv", input="text", label="y"), role="pool")
    assert found.inputs.to_pylist() == ["good"]
    assert "bakery_reviews" not in sys.modules


# labels


@pytest.mark.parametrize(
    ("column", "class_names", "words"),
    [
        (["b", None, "a", "", "b"], ("a", "b"), ["b", None, "a", None, "b"]),
        ([10, 9, -1, None, 10], ("9", "10"), ["10", "9", None, None, "10"]),
        ([True, None, False], ("false", "true"), ["true", None, "false"]),
        ([2.0, float("nan"), 0.0, -1.0], ("0", "2"), ["2", None, "0", None]),
        (pa.array(["b", "a"]).dictionary_encode(), ("a", "b"), ["b", "a"]),
        (pa.array([7, 3], pa.uint64()), ("3", "7"), ["7", "3"]),
        (pa.array([None, None], pa.null()), (), [None, None]),
        ([-1, -1], (), [None, None]),
    ],
)
def test_labels_are_named_and_gaps_are_unknown(tmp_path, column, class_names, words):
    file = write_parquet(tmp_path / "a.parquet", {"a": range(len(words)), "y": column})
    found = read(Source(path=file, label="y", unlabelled=-1), role="labelled")
    assert found.class_names == class_names
    assert names(found) == words


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_blank_label_or_group_is_none(tmp_path, ending):
    rows = {"x": [1.0, 2.0, 3.0, 4.0], "kind": ["yes", " ", "no", "\t\u00a0"], "who": ["a", "  ", "a", " "]}
    path, table = tmp_path / f"a.{ending}", pa.table(rows)
    if ending == "parquet":
        pq.write_table(table, path)
    elif ending == "csv":
        pyarrow.csv.write_csv(table, path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    found = read(Source(path=str(path), label="kind", group="who"), role="all")
    assert (found.class_names, found.label.tolist()) == (("no", "yes"), [1, -1, 0, -1])
    assert found.group is not None
    assert found.group.to_pylist() == ["a", None, "a", None]
    given = from_arrays(np.eye(4), rows["kind"])
    assert (given.class_names, given.label.tolist()) == (("no", "yes"), [1, -1, 0, -1])
    with pytest.raises(InputError, match="has the label ' NA ' in row 1"):
        from_arrays(np.eye(2), ["yes", " NA "])


def test_fixed_classes_keep_their_order(tmp_path):
    file = write_parquet(tmp_path / "a.parquet", {"a": [0, 1, 2], "y": [1, 0, -1]})
    found = read(Source(path=file, label="y", classes=("2", "1", "0")), role="labelled")
    assert found.class_names == ("2", "1", "0")
    assert found.label.tolist() == [1, 2, -1]
    unlabelled = read(Source(path=file, ignore=("y",), classes=("2", "1", "0")), role="pool")
    assert unlabelled.class_names == ("2", "1", "0")
    assert unlabelled.label.tolist() == [-1, -1, -1]


def test_an_archive_may_name_its_classes(tmp_path, pixels):
    path = tmp_path / "a.npz"
    label = np.array([[1], [0], [-1], [2], [2], [0], [1]])
    np.savez(path, x=pixels, y=label, class_names=np.array(["zebra", "ant", "cat"]))
    found = read(Source(path=str(path), label="y"), role="labelled")
    assert found.class_names == ("zebra", "ant", "cat")
    assert found.label.tolist() == [1, 0, -1, 2, 2, 0, 1]
    other = read(Source(path=str(path), label="y", classes=("ant", "cat", "zebra")), role="labelled")
    assert names(other) == names(found)
    np.savez(path, x=pixels, y=np.array(list("baabbab")), class_names=np.array([b"b", b"a"]))
    assert read(Source(path=str(path), label="y"), role="labelled").label.tolist() == [0, 1, 1, 0, 0, 1, 0]


def test_parties_are_aligned_by_name():
    labelled = from_arrays(["a", "b", "c"], ["dog", "cat", "emu"])
    test = from_arrays(["d", "e"], [0, -1], class_names=["emu", "dog"])
    pool = from_arrays(["f"])
    space = class_space({"labelled": labelled, "test": test, "pool": pool})
    assert space == ("cat", "dog", "emu")
    together = aligned({"labelled": labelled, "test": test, "pool": pool}, space)
    assert {party.class_names for party in together.values()} == {space}
    assert names(together["labelled"]) == ["dog", "cat", "emu"]
    assert together["test"].label.tolist() == [2, -1]
    assert together["pool"].label.tolist() == [-1]
    assert ids(together["test"]) == ids(test)


@quick
@given(st.permutations(["a", "b", "c", "d"]), st.lists(st.integers(-1, 3), min_size=1, max_size=8))
def test_alignment_keeps_every_name_and_comes_back(order, label):
    start = from_arrays([str(i) for i in range(len(label))], label, class_names=["a", "b", "c", "d"])
    there = aligned({"x": start}, order)["x"]
    assert names(there) == names(start)
    assert torch.equal(aligned({"x": there}, start.class_names)["x"].label, start.label)


# arrays, selections


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, ">f4"])
def test_numbers_become_a_table(dtype):
    found = from_arrays(np.array([[1, 2], [3, 4]], dtype))
    assert found.inputs.to_pydict() == {"f0": [1, 3], "f1": [2, 4]}
    assert ids(found) == ids(from_arrays(torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.bfloat16)))


def test_labels_of_arrays_are_indices_or_names():
    assert from_arrays(["a", "b"], torch.tensor([2, 0])).class_names == ("0", "1", "2")
    assert from_arrays(np.array(["a", "b"]), ["x", None]).label.tolist() == [0, -1]
    assert from_arrays(["a", "b"], ["x", "w"], class_names=["x", "w"]).label.tolist() == [0, 1]
    assert from_arrays(["a"], class_names=["x", "w"]).class_names == ("x", "w")
    assert from_arrays(["a", "b"], keys=[1, 2]).keys.to_pylist() == ["1", "2"]


def test_arrays_are_copied():
    images = np.zeros((2, 3, 3), np.uint8)
    found = from_arrays(images)
    images += 1
    assert found.inputs.sum() == 0


makers = {
    "image": lambda n: torch.arange(n, dtype=torch.uint8)[:, None, None].expand(n, 2, 2).contiguous(),
    "text": lambda n: [f"text {i}" for i in range(n)],
    "table": lambda n: np.arange(2.0 * n).reshape(n, 2),
}


@pytest.mark.parametrize("kind", makers)
def test_take_keeps_content_label_key_and_id_together(kind):
    six = from_arrays(makers[kind](6), [0, 1, 2, 0, 1, 2], keys=list("abcdef"))
    assert six.kind == kind
    rows = torch.tensor([4, 0, 0])
    taken = six.take(rows)
    assert ids(taken) == [ids(six)[i] for i in (4, 0, 0)]
    assert taken.label.tolist() == [1, 0, 0]
    assert taken.keys.to_pylist() == ["e", "a", "a"]
    # The ids still are those of the content.
    content = from_arrays(taken.inputs.to_pylist() if kind == "text" else taken.inputs)
    assert ids(content) == ids(taken)
    mask = np.array([True, False, False, False, True, False])
    assert ids(six.take(mask)) == [ids(six)[0], ids(six)[4]]
    assert len(six.take(np.array([], np.int64))) == 0


@pytest.mark.parametrize("kind", makers)
def test_parts_put_together_again_are_the_whole(kind):
    six = from_arrays(makers[kind](6), [0, 1, 2, 0, 1, 2], keys=list("abcdef"), origin="pool (x)")
    again = concatenate([six.take(np.arange(2)), six.take(np.arange(2, 6))])
    assert again.digest() == six.digest()
    assert torch.equal(again.label, six.label)
    assert again.keys.equals(six.keys)
    assert again.origin == "pool (x)"
    content = again.inputs.to_pylist() if kind == "text" else again.inputs
    assert ids(from_arrays(content)) == ids(six)


def test_parts_without_labels_take_the_class_names_of_the_others():
    together = concatenate([from_arrays(["a"]), from_arrays(["b"], ["x"])])
    assert together.class_names == ("x",)
    assert together.label.tolist() == [-1, 0]
    assert together.keys is None


def test_tables_are_put_together_by_column_name():
    a = from_arrays(pa.table({"n": [1], "w": ["x"]}))
    b = from_arrays(pa.table({"w": ["y"], "n": [0.5]}))
    together = concatenate([a, b])
    assert together.inputs.to_pydict() == {"n": [1.0, 0.5], "w": ["x", "y"]}
    assert ids(from_arrays(together.inputs)) == ids(together)


# splits


def labelled_set(num_rows=60, num_classes=3, unknown=0, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(num_classes, size=num_rows)
    label[rng.permutation(num_rows)[:unknown]] = -1
    return from_arrays([f"text {i}" for i in range(num_rows)], label, class_names=[str(k) for k in range(num_classes)])


counts_of = st.fixed_dictionaries(
    {"labelled": st.integers(1, 20), "test": st.integers(1, 15), "pool": st.integers(1, 25)}
)


@quick
@given(
    counts=counts_of, repeats=st.lists(st.integers(0, 59), max_size=30), seed=st.integers(0, 5), stratify=st.booleans()
)
def test_no_content_lands_in_two_roles(counts, repeats, seed, stratify):
    once = labelled_set()
    planted = concatenate([once, once.take(np.array(repeats, np.int64))])
    parts = split(planted, counts, seed, stratify)
    assert list(parts) == list(counts)
    assert {role: len(part) for role, part in parts.items()} == counts
    drawn = [row for part in parts.values() for row in ids(part)]
    assert len(set(drawn)) == len(drawn)
    truth = dict(zip(ids(once), once.label.tolist(), strict=True))
    assert all(
        truth[row] == label
        for part in parts.values()
        for row, label in zip(ids(part), part.label.tolist(), strict=True)
    )


def test_a_split_depends_on_the_content_and_the_seed_but_not_on_the_order_of_the_rows():
    rows = labelled_set()
    shuffled = rows.take(np.random.default_rng(1).permutation(60))
    counts = {"labelled": 9, "pool": 30}
    one, other = split(rows, counts, 0), split(shuffled, counts, 0)
    assert [part.digest() for part in one.values()] == [part.digest() for part in other.values()]
    assert split(rows, counts, 1)["labelled"].digest() != one["labelled"].digest()


def test_the_labelled_rows_do_not_depend_on_how_many_others_are_drawn():
    rows = labelled_set()
    few, many = (split(rows, {"pool": n, "labelled": 9}, 0) for n in (5, 40))
    assert few["labelled"].digest() == many["labelled"].digest()


def test_every_class_gets_its_share():
    label = [0] * 50 + [1] * 30 + [2] * 20
    rows = from_arrays([f"text {i}" for i in range(100)], label)
    parts = split(rows, {"labelled": 10, "test": 20, "pool": 70}, seed=3)
    assert Counter(parts["labelled"].label.tolist()) == {0: 5, 1: 3, 2: 2}
    assert Counter(parts["test"].label.tolist()) == {0: 10, 1: 6, 2: 4}
    assert Counter(parts["pool"].label.tolist()) == {0: 35, 1: 21, 2: 14}
    # And the rows are not left sorted by class.
    assert parts["pool"].label.tolist() != sorted(parts["pool"].label.tolist())
    plain = split(rows, {"labelled": 10}, seed=3, stratify=False)["labelled"]
    assert len(plain) == 10


def test_a_rare_class_gets_a_labelled_row_where_one_is_possible():
    rows = from_arrays([f"text {i}" for i in range(101)], [0] * 90 + [1] * 10 + [2])
    parts = split(rows, {"test": 50, "labelled": 3}, seed=0)
    assert Counter(parts["labelled"].label.tolist()) == {0: 1, 1: 1, 2: 1}
    assert 2 not in parts["test"].label.tolist()


@quick
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.data(), st.booleans())
def test_shares_add_up_and_never_exceed_what_is_there(size, data, at_least_one):
    count = data.draw(st.integers(1, sum(size)))
    share = _shares(np.array(size), count, at_least_one=at_least_one)
    assert share.sum() == count
    assert (share >= 0).all()
    assert (share <= size).all()
    if at_least_one and count >= len(size):
        assert (share >= 1).all()
    if not at_least_one:
        assert (np.abs(share - np.array(size) * count / sum(size)) < 1).all()


def test_shares_by_hand():
    # 7 of 50, 30, 20: quotas 3.5, 2.1, 1.4; the largest remainder is the first.
    assert _shares(np.array([50, 30, 20]), 7, at_least_one=False).tolist() == [4, 2, 1]
    assert _shares(np.array([98, 1, 1]), 3, at_least_one=True).tolist() == [1, 1, 1]
    assert _shares(np.array([98, 1, 1]), 2, at_least_one=True).tolist() == [2, 0, 0]


def test_labelled_roles_take_known_labels_only_and_the_pool_takes_the_rest():
    rows = labelled_set(60, unknown=40)
    parts = split(rows, {"pool": 40, "labelled": 12, "test": 8}, seed=0)
    assert (parts["labelled"].label >= 0).all()
    assert (parts["test"].label >= 0).all()
    assert (parts["pool"].label == -1).all()


def test_of_equal_rows_the_labelled_one_is_kept():
    rows = from_arrays(["a", "a", "b", "b"], [-1, 0, 1, -1])
    assert split(rows, {"labelled": 2}, seed=0)["labelled"].label.sort().values.tolist() == [0, 1]


@quick
@given(st.lists(st.sampled_from("abcdef"), min_size=1), st.lists(st.sampled_from("defghi"), min_size=1))
def test_duplicates_are_exactly_the_shared_rows(a, b):
    found = duplicates(from_arrays(a), from_arrays(b))
    assert found.tolist() == [i for i, word in enumerate(a) if word in b]


def test_different_kinds_share_nothing():
    assert len(duplicates(from_arrays(["a"]), from_arrays(np.ones((1, 1))))) == 0


# the package


def test_importing_the_package_brings_no_heavy_library():
    heavy = "{'pandas', 'sklearn', 'transformers', 'sentence_transformers', 'matplotlib', 'ray'}"
    code = f"import sys, overproof.data; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_same_classes_in_the_same_order_pass():
    check_classes(("a", "b"), ["a", "b"], "teacher")
    with pytest.raises(InputError):
        check_classes(("a", "b"), ["b", "a"], "teacher")


def test_examples_refuse_parts_of_different_length():
    one = from_arrays(["a"])
    with pytest.raises(AssertionError):
        Examples(
            kind="text",
            held=one.inputs,
            label=torch.tensor([0, 1]),
            class_names=("x", "y"),
            keys=None,
            origin="x",
            ids=one.ids,
        )
