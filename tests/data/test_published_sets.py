"""Files as data sets and tools publish them: CIFAR, STL-10, MATLAB, AnnData, WebDataset; written by their own rules."""

import gzip
import io
import json
import tarfile
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
import scipy.sparse
from PIL import Image

from overproof.commands.main import main
from overproof.data import Source, pieces, read
from overproof.data.preview import preview
from overproof.errors import InputError

RNG = np.random.default_rng(0)


def rows(path, **options):
    return read(Source(path=str(path), **options), role="pool")


def labels(examples):
    return [examples.class_names[index] if index >= 0 else None for index in examples.label.tolist()]


# --- CIFAR and STL-10


@pytest.mark.parametrize(
    ("file", "num_labels", "label", "first"),
    [("data_batch_1.bin", 1, "label", 9), ("train.bin", 2, "fine_label", 19), ("train.bin", 2, "coarse_label", 19)],
)
def test_records_of_cifar_are_labels_and_planes(tmp_path, file, num_labels, label, first):
    wanted = RNG.integers(0, 10, (5, num_labels), np.uint8)
    images = RNG.integers(0, 256, (5, 3, 32, 32), np.uint8)
    (tmp_path / file).write_bytes(np.concatenate([wanted, images.reshape(5, -1)], axis=1).tobytes())
    found = rows(tmp_path / file, label=label)
    np.testing.assert_array_equal(found.inputs.numpy(), images)
    column = 0 if label == "coarse_label" else num_labels - 1
    assert labels(found) == [str(value) for value in wanted[:, column]]
    looked = preview(Source(path=str(tmp_path / file), label=label), role="pool")
    assert (looked.kind, looked.num_rows) == ("image", 5)
    with pytest.raises(InputError, match=r"has no label 'kind' for `label`"):
        rows(tmp_path / file, label="kind")
    (tmp_path / file).write_bytes(np.full((1, 3072 + num_labels), 200, np.uint8).tobytes())
    with pytest.raises(
        InputError, match=rf"label 200 in row 0, and 0 to {first} are allowed; .* CIFAR-{10**num_labels}"
    ):
        rows(tmp_path / file, label=label)


def test_a_size_that_fits_no_record_or_both_is_refused(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"x" * 1000)
    with pytest.raises(InputError, match=r"has 1000 bytes, no number of records; a \.bin file is read as CIFAR-10"):
        rows(tmp_path / "pytorch_model.bin")
    both = np.zeros(3073 * 3074, np.uint8)
    for file, num in (("data_batch_1.bin", 3074), ("test.bin", 3073)):
        both.tofile(tmp_path / file)
        assert len(rows(tmp_path / file)) == num
    both.tofile(tmp_path / "images.bin")
    with pytest.raises(InputError, match="records of CIFAR-10 and of CIFAR-100"):
        rows(tmp_path / "images.bin")


def test_pixels_of_stl_lie_column_by_column_and_labels_in_another_file(tmp_path):
    images = RNG.integers(0, 256, (3, 3, 96, 96), np.uint8)
    images.transpose(0, 1, 3, 2).tofile(tmp_path / "train_X.bin")
    np.array([1, 10, 2], np.uint8).tofile(tmp_path / "train_y.bin")
    found = rows(tmp_path / "train_X.bin", label=str(tmp_path / "train_y.bin"))
    np.testing.assert_array_equal(found.inputs.numpy(), images)
    assert labels(found) == ["1", "10", "2"]
    np.array([1, 10], np.uint8).tofile(tmp_path / "train_y.bin")
    with pytest.raises(InputError, match=r"has 3 images, and its label file train_y\.bin 2 bytes"):
        rows(tmp_path / "train_X.bin", label=str(tmp_path / "train_y.bin"))


# --- MATLAB


def test_ten_is_the_digit_zero_in_svhn(tmp_path):
    images = RNG.integers(0, 256, (32, 32, 3, 6), np.uint8)
    scipy.io.savemat(
        tmp_path / "train_32x32.mat", {"X": images, "y": np.array([[10], [1], [9], [2], [10], [3]], np.uint8)}
    )
    found = rows(tmp_path / "train_32x32.mat", label="y")
    np.testing.assert_array_equal(found.inputs.numpy(), images.transpose(3, 2, 0, 1))
    assert labels(found) == ["0", "1", "9", "2", "0", "3"]
    assert found.class_names == ("0", "1", "2", "3", "9")
    # Another variable, and images of another size, mean what they say.
    scipy.io.savemat(tmp_path / "b.mat", {"X": images, "kind": np.arange(5, 11.0)})
    assert labels(rows(tmp_path / "b.mat", label="kind")) == [str(value) for value in range(5, 11)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_matlab_file_of_version_7_3_is_told_how_to_be_saved(tmp_path, order):
    h5py = pytest.importorskip("h5py")
    # As MATLAB writes it: 512 bytes before the HDF5 file, of which the first 128 are its own.
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        file["X"] = np.zeros((5, 2))
    words = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Nov 30 2026 HDF5 schema 1.00 .".ljust(116)
    version = np.array([0x0200, 0x4D49], f"{order}u2").tobytes()
    with (tmp_path / "a.mat").open("r+b") as file:
        file.write(words + b" " * 8 + version)
    with pytest.raises(InputError, match=r"of version 7\.3 \(HDF5\); save it with save\('a\.mat', '-v7'\)"):
        rows(tmp_path / "a.mat")


def test_matrices_of_matlab_with_floats_characters_and_cells_as_labels(tmp_path):
    numbers = RNG.normal(size=(4, 3))
    cells = np.empty((4, 1), object)
    cells[:, 0] = ["tea", "rum", "tea", "gin"]
    content = {
        "X": numbers,
        "y": [1.0, -1.0, 2.0, 1.0],
        "words": np.array(["ab ", "abc", "ab ", "c  "]),
        "cells": cells,
    }
    scipy.io.savemat(tmp_path / "a.mat", content, do_compression=True)
    found = rows(tmp_path / "a.mat", label="y", unlabelled=-1)
    np.testing.assert_array_equal(np.column_stack(found.inputs.columns), numbers)
    assert labels(found) == ["1", None, "2", "1"]
    assert labels(rows(tmp_path / "a.mat", label="words")) == ["ab", "abc", "ab", "c"]
    assert labels(rows(tmp_path / "a.mat", label="cells")) == ["tea", "rum", "tea", "gin"]
    scipy.io.savemat(
        tmp_path / "s.mat", {"X": scipy.sparse.csc_matrix(np.diag([1.0, 2, 3, 4])[:, :3]), "y": [1, 1, 2, 2]}
    )
    np.testing.assert_array_equal(np.column_stack(rows(tmp_path / "s.mat", label="y").inputs.columns)[1], [0, 2, 0])
    with pytest.raises(InputError, match="has no variable 'z' for `label`"):
        rows(tmp_path / "a.mat", label="z")
    with pytest.raises(InputError, match=r"array of type object and shape \(4, 1\); allowed are"):
        rows(tmp_path / "a.mat", input="cells", label="y")
    scipy.io.savemat(tmp_path / "b.mat", {"X": numbers, "y": numbers})
    with pytest.raises(InputError, match=r"variable 'y' of shape \(4, 3\), and 4 rows in 'X'; one value for each row"):
        rows(tmp_path / "b.mat", input="X", label="y")
    for content in [(tmp_path / name).read_bytes() for name in ("a.mat", "b.mat", "s.mat")]:
        for size in range(0, len(content), 16):
            (tmp_path / "c.mat").write_bytes(content[:size])
            # A file that ends between two variables is whole without the others.
            with suppress(InputError):
                assert len(rows(tmp_path / "c.mat", input="X", label="y", unlabelled=-1)) == 4
    (tmp_path / "c.mat").write_bytes(content[:-1])
    with pytest.raises(
        InputError, match=rf"is cut: it has {len(content) - 1} bytes, and {len(content)} or more are needed"
    ):
        rows(tmp_path / "c.mat", input="X", label="y")


# --- AnnData


def cells(path, x, names=("g0", "g1", "g2"), **changes):
    """An .h5ad file by the published description of version 0.8 and later."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        if scipy.sparse.issparse(x):
            matrix = file.create_group("X")
            matrix.attrs.update({"encoding-type": f"{x.format}_matrix", "shape": np.array(x.shape)})
            for part in ("data", "indices", "indptr"):
                matrix[part] = getattr(x, part)
        else:
            file["X"] = x
        file["obsm/X_pca"] = np.asarray(x[:, :2].toarray() if scipy.sparse.issparse(x) else x[:, :2]) * 2.0
        for part, index in (("obs", [f"c{row}" for row in range(x.shape[0])]), ("var", list(names))):
            group = file.create_group(part)
            group.attrs["_index"] = "_index"
            if changes.get("nullable"):
                group["_index/values"], group["_index/mask"] = index, np.zeros(len(index), bool)
            else:
                group["_index"] = index
            group["_index"].attrs["encoding-type"] = f"{'nullable-' * bool(changes.get('nullable'))}string-array"
        kind = file["obs"].create_group("kind")
        kind.attrs["encoding-type"] = "categorical"
        kind["codes"] = changes.get("codes", np.array([1, 0, -1, 1], np.int8))
        words = ["B", "T", "unused"]
        if changes.get("nullable"):
            kind["categories/values"], kind["categories/mask"] = words, np.zeros(3, bool)
            kind["categories"].attrs["encoding-type"] = "nullable-string-array"
        else:
            kind["categories"] = words
        file["obs/n"] = np.arange(x.shape[0])
        if "link" in changes:
            file["obs/far"] = changes["link"](h5py)
    return path


@pytest.mark.parametrize("form", ["dense", "csr", "csc", "nullable"])
def test_cells_of_anndata_with_genes_as_columns_and_categories_as_labels(tmp_path, form):
    # Nullable strings are what anndata 0.12 makes of the names of a frame of pandas 3.
    numbers = np.array([[0, 1, 0], [2, 0, 0], [0, 0, 3], [0, 4, 5]], np.float32)
    made = scipy.sparse.csr_matrix(numbers).asformat(form) if form.startswith("cs") else numbers
    path = cells(tmp_path / "a.h5ad", made, nullable=form == "nullable")
    found = rows(path, label="kind", id="obs_names")
    assert found.inputs.column_names == ["g0", "g1", "g2"]
    np.testing.assert_array_equal(np.column_stack(found.inputs.columns), numbers)
    assert labels(found) == ["T", "B", None, "T"]
    assert found.keys.to_pylist() == ["c0", "c1", "c2", "c3"]
    chosen = rows(path, input="X_pca", label="kind", where={"n": 1})
    assert chosen.inputs.to_pylist() == [{"X_pca0": 4.0, "X_pca1": 0.0}]
    assert preview(Source(path=str(path), label="kind"), role="pool").num_rows == 4
    with pytest.raises(InputError, match="has no column 'kin' for `label`"):
        rows(path, label="kin")
    with pytest.raises(InputError, match="has the matrix 'X_pca'; a column of its cells is needed"):
        rows(path, label="X_pca")
    with pytest.raises(InputError, match=r"4 cells of 3 values, 9\.6e-08 GB with their zeros, and 1e-09 are allowed"):
        rows(path, label="kind", max_unpacked_gb=1e-9)


def test_what_is_not_all_in_an_anndata_file_is_refused(tmp_path):
    numbers = np.ones((4, 3), np.float32)
    with pytest.raises(InputError, match=r"several genes called 'a'; make them unique with"):
        rows(cells(tmp_path / "a.h5ad", numbers, names=("a", "b", "a")), label="kind")
    with pytest.raises(InputError, match="a code in 'obs/kind' beyond its 3 categories"):
        rows(cells(tmp_path / "a.h5ad", numbers, codes=np.array([0, 1, 3, 0], np.int8)), label="kind")
    for link in (lambda h5py: h5py.ExternalLink("other.h5", "/x"), lambda h5py: h5py.SoftLink("/obs/n")):
        with pytest.raises(InputError, match="has a link at 'obs/far'; all values must be in the file itself"):
            rows(cells(tmp_path / "a.h5ad", numbers, link=link), label="far")
    (tmp_path / "b.h5ad").write_bytes((tmp_path / "a.h5ad").read_bytes()[:900])
    with pytest.raises(InputError, match="is no AnnData file, or damaged"):
        rows(tmp_path / "b.h5ad", label="kind")


# --- WebDataset


def shard(path, files, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def png(array):
    written = io.BytesIO()
    Image.fromarray(array).save(written, "png")
    return written.getvalue()


def test_files_of_one_key_are_a_row_and_the_key_ends_at_the_first_dot(tmp_path):
    images = RNG.integers(0, 256, (4, 8, 8, 3), np.uint8)
    files = []
    for row, image in enumerate(images):
        about = {"caption": f"a cup {row}", "width": row, "tags": [1]}
        files += [(f"a.b/{row:04}.PNG", png(image)), (f"a.b/{row:04}.json", json.dumps(about).encode())]
        files += [(f"a.b/{row:04}.cls", b"%d\n" % (row % 2))] if row != 2 else []
    path = shard(tmp_path / "0000.tar", files)
    options = {"label": "cls", "id": "__key__"}
    found = rows(path, **options)
    np.testing.assert_array_equal(found.inputs.numpy(), images.transpose(0, 3, 1, 2))
    assert labels(found) == ["0", "1", None, "1"]
    assert found.keys.to_pylist() == [f"a.b/{row:04}" for row in range(4)]
    words = rows(path, input="json.caption", label="json.width")
    assert words.inputs.to_pylist() == [f"a cup {row}" for row in range(4)]
    assert labels(words) == ["0", "1", "2", "3"]
    apart = list(pieces(Source(path=str(path), **options), role="pool", max_rows=3))
    assert [len(each) for each in apart] == [3, 1]
    np.testing.assert_array_equal(np.concatenate([each.ids for each in apart]), found.ids)
    looked = preview(Source(path=str(path), **options), role="pool")
    assert (looked.kind, looked.num_rows, looked.exact) == ("image", 4, True)
    with pytest.raises(InputError, match=r"has no column 'class' for `label`"):
        rows(path, label="class")


def test_several_images_of_a_key_are_a_question(tmp_path):
    image = png(np.zeros((4, 4), np.uint8))
    path = shard(tmp_path / "a.tar", [("1.jpg", image), ("1.seg.png", image), ("1.cls", b"0")])
    with pytest.raises(InputError, match=r"2 columns of encoded images among .*'seg\.png'.*; name one with `input`"):
        rows(path, label="cls")
    assert len(rows(path, input="seg.png", label="cls")) == 1


def test_texts_compressed_in_several_shards(tmp_path):
    for number in range(2):
        files = [(f"{number}{row}.{end}", b"%s %d" % (end.encode(), row)) for row in range(3) for end in ("txt", "cls")]
        shard(tmp_path / f"{number}.tar.gz", files, "w:gz")
    found = rows(tmp_path / "*.tar.gz", input="txt", label="cls")
    assert found.inputs.to_pylist() == ["txt 0", "txt 1", "txt 2"] * 2
    with pytest.raises(InputError, match=r"unpacks to more than 1e-08 GB; set `max_unpacked_gb`"):
        rows(tmp_path / "0.tar.gz", input="txt", max_unpacked_gb=1e-8)


def test_a_folder_of_img2dataset_is_its_shards(tmp_path):
    image = png(np.zeros((4, 4, 3), np.uint8))
    about = [{"key": "000000000", "status": "success"}, {"key": "000000001", "status": "failed_to_download"}]
    files = [("000000000.jpg", image), ("000000000.txt", b"cup"), ("000000000.json", json.dumps(about[0]).encode())]
    shard(tmp_path / "00000.tar", files)
    pq.write_table(pa.Table.from_pylist(about), tmp_path / "00000.parquet")
    (tmp_path / "00000_stats.json").write_text(json.dumps({"count": 2, "successes": 1}))
    assert labels(rows(tmp_path, label="txt")) == ["cup"]
    pq.write_table(pa.Table.from_pylist(about), tmp_path / "other.parquet")
    with pytest.raises(InputError, match=r"\(other\.parquet\) has no column 'txt'"):
        rows(tmp_path, label="txt")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([("1.txt", b"a"), ("2.txt", b"a"), ("1.cls", b"0")], r"files of the key '1' in two places"),
        ([("1.txt", b"a"), ("1.TXT", b"b")], r"has 1\.txt twice"),
        ([("1.json", b"[1]")], r"has 1\.json, which holds no object"),
        ([("1.json", b"{")], r"has 1\.json, which is no JSON"),
        ([("1.txt", "café".encode("latin-1"))], r"has 1\.txt, which is not UTF-8"),
        ([("README", b"a")], r"has no row; a shard of WebDataset has files such as"),
    ],
)
def test_shards_that_are_not_as_webdataset_writes_them(tmp_path, files, message):
    with pytest.raises(InputError, match=message):
        rows(shard(tmp_path / "a.tar", files), input="txt" if files[0][0].endswith("txt") else None)


def test_a_shard_that_is_cut_anywhere_or_has_a_damaged_header_is_refused(tmp_path):
    whole = shard(tmp_path / "a.tar", [(f"{row}.txt", b"a" * 600) for row in range(4)]).read_bytes()
    ended = 4 * (512 + 1024)
    assert not any(whole[ended:])
    bad = [whole[:size] for size in range(0, ended, 256)]
    bad += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(0, ended, 1536)]
    bad += [whole + whole]
    for content in bad:
        (tmp_path / "b.tar").write_bytes(content)
        with pytest.raises(InputError, match=r"is no tar archive, or damaged|goes on after its end"):
            rows(tmp_path / "b.tar", input="txt")
    (tmp_path / "b.tar").write_bytes(whole[: ended + 512])
    assert len(rows(tmp_path / "b.tar", input="txt")) == 4


def test_the_checksum_of_a_compressed_shard_is_compared(tmp_path):
    whole = gzip.compress(shard(tmp_path / "a.tar", [(f"{row}.txt", b"tea") for row in range(4)]).read_bytes())
    for content in (whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:], whole[:-4]):
        (tmp_path / "b.tar.gz").write_bytes(content)
        with pytest.raises(InputError, match=r"is no tar archive, or damaged"):
            rows(tmp_path / "b.tar.gz", input="txt")


# --- rows that are chosen, in matrices and texts too


def test_rows_are_chosen_in_arrays_of_numbers_and_of_texts(tmp_path):
    part, words = np.array(["train", "test", "train"]), np.array(["tea", "rum", "gin"])
    np.savez(tmp_path / "a.npz", x=np.arange(6.0).reshape(3, 2), words=words, y=[0, 1, 1], part=part)
    found = rows(tmp_path / "a.npz", input="x", label="y", where={"part": "train"})
    assert found.inputs.to_pylist() == [{"f0": 0.0, "f1": 1.0}, {"f0": 4.0, "f1": 5.0}]
    assert labels(found) == ["0", "1"]
    found = rows(tmp_path / "a.npz", input="words", label="y", where={"part": "train"})
    assert (found.inputs.to_pylist(), labels(found)) == (["tea", "gin"], ["0", "1"])
    with pytest.raises(InputError, match="'dev'"):
        rows(tmp_path / "a.npz", input="x", where={"part": "dev"})


# --- by the command line


def test_init_proposes_the_labels_of_files_of_arrays(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    images = RNG.integers(0, 256, (32, 32, 3, 40), np.uint8)
    scipy.io.savemat("train.mat", {"X": images, "y": np.arange(40)[:, None] % 10 + 1})
    main(["init", "train.mat", "--set", "data.rows.labelled=20", "--quiet"])
    text = (tmp_path / "experiment.yaml").read_text()
    assert "label: y" in text
    pytest.importorskip("h5py")
    cells(tmp_path / "cells.h5ad", np.ones((4, 3), np.float32))
    with pytest.raises(SystemExit):
        main(["init", "cells.h5ad", "--out", "b.yaml", "--quiet"])
    assert "name its labels with --label, one of 'obs_names', 'kind', 'n'" in capsys.readouterr().err
