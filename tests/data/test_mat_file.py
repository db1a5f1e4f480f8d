"""MATLAB files: what SciPy writes is read exactly, and all else is refused in words; SciPy's reader is not used."""

import struct
import sys
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from overproof.data import Source, read
from overproof.data.preview import preview
from overproof.data.readers.mat_file import mat_values, mat_variables
from overproof.errors import InputError

RNG = np.random.default_rng(0)
NUMBERS = ("f8", "f4", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


def values(path, *names, max_gb=1.0):
    variables = mat_variables(path, "a.mat")
    return mat_values(path, "a.mat", {name: variables[name] for name in names or variables}, max_gb)


def some(dtype, shape):
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return RNG.normal(size=shape).astype(dtype)
    return RNG.integers(np.iinfo(kind).min, np.iinfo(kind).max, shape, dtype=kind, endpoint=True)


# --- files byte by byte, in the words of the format


def element(order, kind, data):
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def packed(content, end=b""):
    """A compressed variable, which nothing fills up."""
    data = zlib.compress(content) + end
    return struct.pack("<II", 15, len(data)) + data


def matrix(order, number, shape, name, *parts, flags=0):
    """A variable of a class by its number."""
    head = element(order, 6, struct.pack(f"{order}II", number | flags << 8, 0))
    head += element(order, 5, struct.pack(f"{order}{len(shape)}i", *shape)) + element(order, 1, name.encode())
    return element(order, 14, head + b"".join(parts))


def file_of(path, order, *variables, version=0x100):
    end = struct.pack(f"{order}HH", version, 0x4D49)
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8) + end + b"".join(variables))
    return path


# --- what SciPy writes


@pytest.mark.parametrize("packed", [False, True])
def test_numbers_that_scipy_writes_are_read_exactly(tmp_path, packed):
    content = {f"{dtype}_{rank}": some(dtype, (3, 2, 5, 4)[:rank]) for dtype in NUMBERS for rank in (2, 3, 4)}
    content |= {"one": np.array([[7.0]]), "row": np.arange(5.0)[None], "column": np.arange(5)[:, None]}
    content |= {"odd": np.array([[np.nan, np.inf, -0.0]]), "truth": np.array([[True, False]])}
    scipy.io.savemat(tmp_path / "a.mat", content, do_compression=packed)
    found, other = values(tmp_path / "a.mat"), scipy.io.loadmat(tmp_path / "a.mat")
    assert list(found) == list(content)
    for name, wanted in content.items():
        np.testing.assert_array_equal(found[name], wanted)
        assert found[name].tobytes() == np.ascontiguousarray(other[name]).tobytes()
        assert (found[name].dtype, found[name].shape) == (other[name].dtype, other[name].shape)
    shapes = {name: (each.shape, each.kind) for name, each in mat_variables(tmp_path / "a.mat", "a").items()}
    assert shapes == {name: (shape, kind) for name, shape, kind in scipy.io.whosmat(tmp_path / "a.mat")}
    assert shapes["truth"] == ((1, 2), "logical")


@pytest.mark.parametrize("packed", [False, True])
def test_texts_and_sparse_matrices_that_scipy_writes_are_read_exactly(tmp_path, packed):
    cells = np.empty((2, 2), object)
    cells[:] = [["tea", ""], ["Grün", "a longer text"]]
    matrix = scipy.sparse.random(7, 5, 0.3, "csc", rng=1)
    content = {
        "words": np.array(["ab ", "abc", "äöü"]), "cells": cells, "smiles": np.array(["😀b", "cd"]), "sparse": matrix,
        "flags": matrix.astype(bool), "nothing": scipy.sparse.csc_matrix((2, 3)),
    }  # fmt: skip
    scipy.io.savemat(tmp_path / "a.mat", content, do_compression=packed)
    found = values(tmp_path / "a.mat")
    assert found["words"].tolist() == ["ab ", "abc", "äöü"]
    assert found["smiles"].tolist() == ["😀b", "cd"]
    assert found["cells"].tolist() == cells.tolist()
    for name in ("sparse", "flags", "nothing"):
        np.testing.assert_array_equal(found[name], content[name].toarray())
    assert found["sparse"].any()


# --- what MATLAB writes


@pytest.mark.parametrize("order", "<>")
def test_both_orders_of_bytes_and_the_texts_of_matlab(tmp_path, order):
    big = "utf-16-le" if order == "<" else "utf-16-be"
    # Column by column, in units of UTF-16; the smile has two.
    rows = [row.encode(big) for row in ("ü😀", "abc")]
    units = b"".join(row[2 * place : 2 * place + 2] for place in range(3) for row in rows)
    small, name = struct.pack(f"{order}I", 4 << 16 | 1), struct.pack(f"{order}I", 1 << 16 | 1) + b"z\0\0\0"
    head = element(order, 6, struct.pack(f"{order}II", 6, 0)) + element(order, 5, struct.pack(f"{order}ii", 1, 4))
    file_of(
        tmp_path / "a.mat", order,
        matrix(order, 6, (2, 3), "x", element(order, 9, np.arange(6.0).astype(f"{order}f8").tobytes())),
        # Whole doubles are kept in the smallest type.
        matrix(order, 6, (1, 3), "y", element(order, 4, np.array([1, 2, 60_000], f"{order}u2").tobytes())),
        matrix(order, 4, (2, 3), "words", element(order, 4, units)),
        matrix(order, 4, (2, 3), "again", element(order, 17, units)),
        # Short names and values stand in the tag.
        element(order, 14, head + name + small + bytes([1, 2, 3, 255])),
        matrix(order, 4, (1, 3), "padded", element(order, 16, b"ab\0")),
        matrix(order, 9, (1, 1), "", element(order, 2, b"\7")),
    )  # fmt: skip
    found = values(tmp_path / "a.mat")
    assert found["x"].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert (found["y"].tolist(), found["y"].dtype) == ([[1, 2, 60_000]], np.dtype("u2"))
    assert found["words"].tolist() == found["again"].tolist() == ["ü😀", "abc"]
    assert found["z"].tolist() == [[1, 2, 3, -1]]
    assert found["padded"].tolist() == ["ab"]
    # What has no name is no variable of the user's.
    assert "" not in found


def test_whole_numbers_of_four_bytes_keep_their_last_digits(tmp_path):
    numbers = np.array([[2**24 + 1, 5], [2**32 - 1, 6]], np.uint32)
    scipy.io.savemat(tmp_path / "a.mat", {"X": numbers, "y": [1, 2], "z": [1e300, 2.0]})
    found = read(Source(path=str(tmp_path / "a.mat"), label="y"), role="pool")
    np.testing.assert_array_equal(np.column_stack(found.inputs.columns), numbers)
    # A float that no whole number of 64 bits can be is not made one.
    with pytest.raises(InputError, match=r"in the label column 'z', the number 1e\+300 in row 0"):
        read(Source(path=str(tmp_path / "a.mat"), label="z", input="X"), role="pool")


def test_scipy_reads_nothing_and_what_is_not_named_is_not_read(tmp_path, monkeypatch):
    content = {"X": RNG.normal(size=(4, 3)), "y": [1, 2, 1, 2], "info": {"made": "today"}, "z": np.ones((4, 2)) * 1j}
    scipy.io.savemat(tmp_path / "a.mat", content)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    source = Source(path=str(tmp_path / "a.mat"), input="X", label="y")
    assert preview(source, role="pool").kind == "table"
    assert len(read(source, role="pool")) == 4
    with pytest.raises(InputError, match=r"'info' of MATLAB's class struct, which is not read; allowed are real numb"):
        read(Source(path=str(tmp_path / "a.mat"), input="X", label="info"), role="pool")
    with pytest.raises(InputError, match=r"'z' of MATLAB's class double, of complex numbers, which is not read"):
        read(Source(path=str(tmp_path / "a.mat"), input="z", label="y"), role="pool")


# --- what is refused


def test_other_versions_and_other_files_are_told_what_to_write(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"X": np.ones((3, 2))}, format="4")
    with pytest.raises(InputError, match=r"may be one of version 4; save it with save\('a\.mat', '-v7'\)"):
        mat_variables(tmp_path / "a.mat", "File a")
    (tmp_path / "a.mat").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    with pytest.raises(InputError, match=r"of version 7\.3 \(HDF5\); save it with save\('a\.mat', '-v7'\)"):
        mat_variables(tmp_path / "a.mat", "File a")
    for content in (b"", b"label,size\n1,2\n", b"x" * 500):
        (tmp_path / "a.mat").write_bytes(content)
        with pytest.raises(InputError, match="is no MATLAB file of version 5 to 7, or its first 128 bytes are damaged"):
            mat_variables(tmp_path / "a.mat", "File a")
    file_of(tmp_path / "a.mat", "<", version=0x300)
    with pytest.raises(InputError, match="or its first 128 bytes are damaged"):
        mat_variables(tmp_path / "a.mat", "File a")


TWO = element("<", 9, bytes(16))
CASES = {
    "another type": (element("<", 5, bytes(8)), "an element of type 5 where a variable must be"),
    "another class": (matrix("<", 60, (1, 2), "x", TWO), "a variable of class 60"),
    "a negative size": (matrix("<", 6, (-1, 2), "x", TWO), "fewer than two sizes, or one below 0"),
    "one size": (matrix("<", 6, (2,), "x", TWO), "fewer than two sizes"),
    "too few": (matrix("<", 6, (2, 2), "x", TWO), "16 bytes for 4 of 8 bytes"),
    "too many": (matrix("<", 6, (1, 1), "x", TWO), "16 bytes for 1 of 8 bytes"),
    "very many": (matrix("<", 6, (2**31 - 1, 2**31 - 1), "x", TWO), "16 bytes for 4611686014132420609 of 8 bytes"),
    "no numbers": (matrix("<", 6, (1, 2), "x", element("<", 14, bytes(16))), "type 14 where numbers must be"),
    "more": (matrix("<", 6, (1, 2), "x", TWO, TWO), "24 bytes after its end"),
    "nothing": (matrix("<", 6, (1, 2), "x"), "it ends within a variable"),
    "many cells": (matrix("<", 1, (2**20, 2**20), "x"), "1099511627776 cells in 48 bytes"),
    "no text": (matrix("<", 1, (1, 1), "x", matrix("<", 6, (1, 2), "", TWO)), "cell 1 is no text in one row"),
    "two rows": (
        matrix("<", 1, (1, 1), "x", matrix("<", 4, (2, 1), "", element("<", 16, b"ab"))),
        "cell 1 is no text in one row",
    ),
    "cells in cells": (
        matrix("<", 1, (1, 1), "x", matrix("<", 1, (1, 1), "", matrix("<", 4, (1, 1), "", element("<", 16, b"a")))),
        "cell 1 is no text in one row",
    ),
    "half a unit": (matrix("<", 4, (1, 2), "x", element("<", 17, b"abc")), "3 bytes for 2 characters"),
    "half a pair": (matrix("<", 4, (1, 1), "x", element("<", 17, b"\0\xd8")), "characters that are no text"),
    "no UTF-8": (matrix("<", 4, (1, 1), "x", element("<", 16, b"\xff")), "characters that are no text"),
    "a zero inside": (matrix("<", 4, (1, 3), "x", element("<", 16, b"a\0b")), "zeros within them"),
    "rank of text": (matrix("<", 4, (1, 1, 1), "x", element("<", 16, b"a")), r"characters of shape \(1, 1, 1\)"),
    "no characters": (matrix("<", 4, (1, 2), "x", TWO), "type 9 where characters must be"),
}


@pytest.mark.parametrize("case", CASES)
def test_content_that_contradicts_itself_is_damage(tmp_path, case):
    content, words = CASES[case]
    for written in (content, packed(content)):
        file_of(tmp_path / "a.mat", "<", written)
        with pytest.raises(InputError, match=f"^a.mat is damaged .*{words}.*; a whole MATLAB file is needed"):
            values(tmp_path / "a.mat")


def sparse(rows, starts, numbers, shape=(3, 2)):
    parts = [element("<", 5, np.array(each, "<i4").tobytes()) for each in (rows, starts)]
    return matrix("<", 5, shape, "x", *parts, element("<", 9, np.array(numbers, "<f8").tobytes()))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (sparse([0, 3], [0, 1, 2], [1, 2]), "rows of a sparse matrix that do not ascend, or are not there"),
        (sparse([0, -1], [0, 1, 2], [1, 2]), "or are not there"),
        (sparse([1, 0], [0, 2, 2], [1, 2]), "do not ascend"),
        (sparse([1, 1], [0, 2, 2], [1, 2]), "do not ascend"),
        (sparse([0, 1], [0, 2, 1], [1, 2]), "columns of a sparse matrix that do not follow each other"),
        (sparse([0, 1], [1, 1, 2], [1, 2]), "do not follow each other"),
        (sparse([0, 1], [0, 1, 3], [1, 2]), "do not follow each other"),
        (sparse([0, 1], [0, 1], [1, 2]), "8 bytes for 3 of 4 bytes"),
        (sparse([0, 1], [0, 1, 2], [1, 2], (3, 2, 1)), "a sparse matrix of rank 3"),
    ],
)
def test_a_sparse_matrix_whose_places_do_not_fit_is_damage(tmp_path, content, words):
    file_of(tmp_path / "a.mat", "<", sparse([0, 2], [0, 1, 2], [4, 5]))
    assert values(tmp_path / "a.mat")["x"].tolist() == [[4, 0], [0, 0], [0, 5]]
    # What stands after the last place is room that MATLAB has kept.
    file_of(tmp_path / "a.mat", "<", sparse([2, 0, 9, 9], [0, 1, 2], [4, 5, 6, 7]))
    assert values(tmp_path / "a.mat")["x"].tolist() == [[0, 5], [0, 0], [4, 0]]
    file_of(tmp_path / "a.mat", "<", content)
    with pytest.raises(InputError, match=words):
        values(tmp_path / "a.mat")


def test_what_unpacks_to_more_than_the_limit_is_not_unpacked(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": np.zeros((1000, 1000)), "y": np.ones((2, 2))}, do_compression=True)
    assert (tmp_path / "a.mat").stat().st_size < 20_000
    with pytest.raises(InputError, match=r"a.mat unpacks to 0\.008 GB, and 0\.007 are allowed; set `max_unpacked_gb`"):
        values(tmp_path / "a.mat", "x", max_gb=0.007)
    assert values(tmp_path / "a.mat", "y", max_gb=0.007)["y"].tolist() == [[1, 1], [1, 1]]
    assert values(tmp_path / "a.mat", "x", max_gb=0.009)["x"].shape == (1000, 1000)
    # The content is longer than its tag says, or shorter; or it goes on after its end.
    inner = matrix("<", 6, (1, 2), "x", TWO)
    for content in (inner + bytes(8), inner[:-8], struct.pack("<II", 14, 2**31) + inner[8:]):
        file_of(tmp_path / "a.mat", "<", packed(content))
        with pytest.raises(InputError, match=r"is damaged .*|unpacks to 2\.15 GB"):
            values(tmp_path / "a.mat")
    file_of(tmp_path / "a.mat", "<", packed(inner, b"more bytes"))
    with pytest.raises(InputError, match="its compressed content is not of 72 bytes"):
        values(tmp_path / "a.mat")
    # A sparse matrix is its zeros too.
    file_of(tmp_path / "a.mat", "<", sparse([], [0] * 201, [], (2**30, 200)))
    with pytest.raises(InputError, match=r"unpacks to 1\.72e\+03 GB"):
        values(tmp_path / "a.mat")


def test_an_empty_variable_and_two_of_one_name_are_refused(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": np.zeros((5, 0)), "y": np.ones((2, 2))})
    with pytest.raises(InputError, match=r"has the variable 'x' of shape \(5, 0\), which is empty"):
        values(tmp_path / "a.mat", "x")
    one = matrix("<", 6, (1, 2), "x", TWO)
    file_of(tmp_path / "a.mat", "<", one, one)
    with pytest.raises(InputError, match="has two variables 'x'"):
        mat_variables(tmp_path / "a.mat", "a.mat")


def test_text_with_a_zero_in_it_is_read_whole_from_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((2, 2)), y=np.array(["a\0b", "a\0c"]))
    assert read(Source(path=str(tmp_path / "a.npz"), label="y"), role="pool").class_names == ("a\0b", "a\0c")
