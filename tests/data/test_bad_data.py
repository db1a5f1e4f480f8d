"""Every malformed input is one sentence that names the file, the place and what is allowed instead."""

import contextlib
import datetime
import gzip
import io
import json
import struct
import warnings
import zipfile
import zlib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from PIL import Image

from overproof.commands import main as cli
from overproof.data import (
    ImageOptions,
    Source,
    aligned,
    check_classes,
    class_space,
    concatenate,
    from_arrays,
    read,
    split,
)
from overproof.errors import InputError


def encoded(size=(4, 5), mode="L", format="PNG"):
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(file, format)
    return file.getvalue()


def idx(shape, code=0x08, size=None, magic=b"\0\0"):
    body = bytes(int(np.prod(shape)) if size is None else size)
    return magic + bytes([code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + body


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def parquet(columns, **options):
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


PICTURES = np.arange(60, dtype=np.uint8).reshape(3, 5, 4)
GOOD_PARQUET = parquet({"text": ["a", "b", "c"], "y": [0, 1, 0]})
GOOD_CSV = b"text,y\na,0\nb,1\nc,0\n"
PNG = encoded()
JPEG = encoded(mode="RGB", format="JPEG")


def archive_of_notes():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("notes.txt", "not an array")
    return file.getvalue()


def damaged_page():
    """One bit of one number is wrong: only the page's checksum can tell."""
    number = struct.pack("<d", 12345.678)
    plain = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    data = parquet({"n": [12345.678, 2.0]}, write_page_checksum=True, **plain)
    return data.replace(number, number[:-2] + bytes([number[-2] ^ 1]) + number[-1:], 1)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def arrow(columns, opened=pa.ipc.new_file):
    table, file = pa.table(columns), io.BytesIO()
    with opened(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


def zstd(data):
    return pa.compress(data, codec="zstd", asbytes=True)


def png_of_size(width, height):
    """A header that promises an image of that size, and next to nothing behind it."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


class Traitor:
    """An object whose unpickling would write a file."""

    def __reduce__(self):
        return (open, ("unpickled.txt", "w"))


def pickled(values):
    array = np.empty(len(values), object)
    array[:] = values
    return npy(array)


class Link(str):
    """A symbolic link to this path."""


# What happens: (file name, its bytes, the source's options, what the message must contain).
FILES = {
    # the file itself
    "a folder": ("folder.csv/", None, {}, ["folder", "one data file"]),
    "no such file": ("a.csv", None, {}, ["no such file"]),
    "an unknown extension": ("a.xlsx", b"x", {}, ["'.xlsx'", ".parquet"]),
    "an empty csv": ("a.csv", b"", {}, ["empty", "at least one row"]),
    "a csv of blank lines": ("a.csv", b"\n\n", {}, ["empty", "at least one row"]),
    "a csv of a header": ("a.csv", b"text,y\n", {}, ["no rows", "at least one"]),
    "an empty parquet file": ("a.parquet", b"", {}, ["empty", "Parquet"]),
    "a parquet file without rows": ("a.parquet", parquet({"y": pa.array([], pa.int64())}), {}, ["no rows"]),
    "an empty npz": ("a.npz", b"", {}, ["empty", ".npz"]),
    "an empty idx file": ("a-idx3-ubyte", b"", {}, ["empty", "IDX"]),
    "an idx file without images": ("a-idx3-ubyte", idx((0, 5, 4)), {}, ["no rows"]),
    "a csv called parquet": ("a.parquet", GOOD_CSV, {}, ["not a readable Parquet"]),
    "a truncated parquet file": ("a.parquet", GOOD_PARQUET[:-9], {}, ["not a readable Parquet", "whole"]),
    "a damaged parquet page": ("a.parquet", damaged_page(), {}, ["damaged Parquet", "whole"]),
    "a parquet file called csv": ("a.csv", GOOD_PARQUET, {}, ["not a text file", "UTF-8"]),
    "a csv in latin-1": ("a.csv", "text,y\na,0\né,1\n".encode("latin-1"), {}, ["UTF-8", "line 3"]),
    "a csv in utf-16": ("a.csv", GOOD_CSV.decode().encode("utf-16"), {}, ["in UTF-16", "iconv -f UTF-16 -t UTF-8"]),
    "a truncated gzip": ("a.csv.gz", gzip.compress(GOOD_CSV * 50, mtime=0)[:-20], {}, ["cannot be read", "whole"]),
    "a plain csv called gz": ("a.csv.gz", GOOD_CSV, {}, ["cannot be read", "gzip"]),
    "a csv row with a cell too many": ("a.csv", b"a,b\n1,2\n3,4,5\n", {}, ["3 cells", "row 1", "have 2"]),
    "a csv row with a cell too few": ("a.dat", b"1,2\n3,4\n5\n", {"header": False}, ["1 cells", "row 2", "have 2"]),
    "a quote that never closes": ("a.csv", b'y,text\n0,a\n1,"b\n0,c\n1,d\n', {}, ["quote", "row 1", "closing"]),
    "a csv column without a name": ("a.csv", b",text\n0,a\n", {}, ["column 0", "ignore"]),
    "a csv column twice": ("a.csv", b"a,b,a\n0,1,2\n", {}, ["more than one", "'a'", "unique"]),
    # columns
    "a missing input": ("a.csv", GOOD_CSV, {"input": "txt"}, ["'txt'", "nearest: 'text'", "'text', 'y'"]),
    "a missing label": ("a.parquet", GOOD_PARQUET, {"label": "class"}, ["'class'", "`label`", "'text', 'y'"]),
    "a missing id": ("a.parquet", GOOD_PARQUET, {"id": "key"}, ["'key'", "`id`", "'text', 'y'"]),
    "a missing ignored column": ("a.csv", GOOD_CSV, {"ignore": ("yy",)}, ["'yy'", "`ignore`", "nearest: 'y'"]),
    "a missing chosen column": ("a.csv", GOOD_CSV, {"where": {"part": 1}}, ["'part'", "`where`", "'text', 'y'"]),
    "no row chosen": ("a.csv", GOOD_CSV, {"where": {"text": "z"}}, ["'text'", "'z'", "'a', 'b', 'c'"]),
    "no row chosen by type": ("a.csv", GOOD_CSV, {"where": {"y": "one"}}, ["'y'", "'one'", "'0', '1'"]),
    "no feature left": ("a.csv", GOOD_CSV, {"label": "y", "ignore": ("text",)}, ["no feature", "at least one"]),
    "text without a column": ("a.csv", GOOD_CSV, {"kind": "text"}, ["`input`", "'text', 'y'"]),
    "text of numbers": ("a.parquet", GOOD_PARQUET, {"kind": "text", "input": "y"}, ["int64", "'y'", "strings"]),
    "pictures of strings": (
        "a.parquet",
        GOOD_PARQUET,
        {"kind": "image", "input": "text"},
        ["no such file", "'a'", "row 0"],
    ),
    "pictures without a column": ("a.parquet", GOOD_PARQUET, {"kind": "image"}, ["0 columns", "`input`"]),
    "two columns of bytes": ("a.parquet", parquet({"p": [PNG], "q": [PNG]}), {}, ["2 columns", "'p', 'q'", "`input`"]),
    # values
    "a null text": ("a.parquet", parquet({"t": ["a", None]}), {"input": "t"}, ["'t'", "row 1", "'drop'"]),
    "a blank text": ("a.csv", b"t,y\na,0\n b,1\n  ,1\n", {"input": "t"}, ["'t'", "row 2", "'allow'"]),
    "a blank text after a choice": (
        "a.csv",
        b"t,p\na,x\nb,y\n,x\n",
        {"input": "t", "where": {"p": "x"}},
        ["'t'", "row 2", "'drop'"],
    ),
    "only blank texts": ("a.csv", b"t,y\n ,0\n", {"input": "t", "missing": "drop"}, ["no row left", "at least one"]),
    "an empty number": ("a.csv", b"n,y\n1,0\n,1\n", {}, ["'n'", "row 1", "`missing`"]),
    "not a number": ("a.parquet", parquet({"n": [1.0, 2.0, float("nan")]}), {}, ["'n'", "row 2", "`missing`"]),
    "an infinite number": ("a.csv", b"n\n1\n-inf\n", {"missing": "allow"}, ["-inf", "'n'", "row 1", "finite"]),
    "an empty word": ("a.csv", b"w,y\na,0\n,1\n", {"label": "y"}, ["'w'", "row 1", "`missing`"]),
    "a column of lists": ("a.parquet", parquet({"l": [[1], [2]]}), {}, ["list", "'l'", "numbers"]),
    # labels and ids
    "a fractional label": (
        "a.parquet",
        parquet({"a": [1, 2], "y": [0.0, 0.5]}),
        {"label": "y"},
        ["0.5", "'y'", "row 1", "whole numbers"],
    ),
    "an infinite label": (
        "a.parquet",
        parquet({"a": [1, 2], "y": [0.0, float("inf")]}),
        {"label": "y"},
        ["inf", "'y'", "row 1", "whole numbers"],
    ),
    "a label that may be none": (
        "a.csv",
        b"a,y\n1,-1\n2,1\n",
        {"label": "y"},
        ["'-1'", "'y'", "row 0", "unlabelled: -1", "unlabelled: []"],
    ),
    "labels of dates": (
        "a.parquet",
        parquet({"a": [1], "y": [datetime.date(2020, 1, 31)]}),
        {"label": "y"},
        ["date32", "'y'", "strings"],
    ),
    "a label that is no class": (
        "a.csv",
        b"a,y\n1,cat\n2,dgo\n",
        {"label": "y", "classes": ("cat", "dog")},
        ["'dgo'", "row 1", "nearest: 'dog'", "'cat', 'dog'"],
    ),
    "an id twice": ("a.csv", b"a,k\n1,x\n2,y\n3,x\n", {"id": "k"}, ["'x'", "'k'", "row 0", "row 2", "own"]),
    "an id twice after a choice": (
        "a.csv",
        b"a,k,p\n1,x,n\n1,x,m\n2,y,n\n3,x,m\n",
        {"id": "k", "where": {"p": "m"}},
        ["'x'", "row 1", "row 3"],
    ),
    "no id": ("a.parquet", parquet({"a": [1, 2], "k": ["x", None]}), {"id": "k"}, ["no id", "'k'", "row 1", "own"]),
    "fractional ids": ("a.parquet", parquet({"a": [1], "k": [0.5]}), {"id": "k"}, ["double", "'k'", "integers"]),
    # .npz
    "a truncated npz": ("a.npz", npz(x=PICTURES)[:-30], {}, [".npz", "whole"]),
    "a damaged npz": ("a.npz", npz(x=PICTURES).replace(PICTURES.tobytes(), bytes(60)), {}, ["damaged", "whole"]),
    "pickled labels": (
        "a.npz",
        npz(x=PICTURES, y=np.array(["a", "b", None], object)),
        {"label": "y"},
        ["pickled objects", "dtype=object"],
    ),
    "an archive of other things": ("a.npz", archive_of_notes(), {}, ["'notes.txt'", "arrays"]),
    "an npz without pictures": ("a.npz", npz(y=np.arange(3)), {}, ["0 arrays", "'y'", "`input`"]),
    "an npz with two sets": ("a.npz", npz(a=PICTURES, b=PICTURES), {}, ["2 arrays", "'a', 'b'", "`input`"]),
    "an npz without that array": ("a.npz", npz(x=PICTURES), {"input": "images"}, ["array 'images'", "'x'"]),
    "float pictures": ("a.npz", npz(x=PICTURES / 255), {}, ["float64", "uint8"]),
    "pictures of two channels": ("a.npz", npz(x=PICTURES.reshape(1, 2, 6, 5)), {}, ["(1, 2, 6, 5)", "C 1 or 3"]),
    "flat pictures": ("a.npz", npz(x=PICTURES.reshape(3, 20)), {"input": "x"}, ["(3, 20)", "[N, H, W]", "kind: table"]),
    "numbers called images": ("a.npz", npz(x=np.eye(3)), {"input": "x", "kind": "image"}, ["numbers", "'table'"]),
    "two matrices": ("a.npz", npz(a=np.eye(3), b=np.eye(3)), {}, ["2 matrices", "'a', 'b'", "`input`"]),
    "a label like a column": ("a.npz", npz(x=np.eye(3), f1=np.arange(3)), {"label": "f1"}, ["'f1'", "f0 to f2"]),
    "too few labels": ("a.npz", npz(x=PICTURES, y=np.arange(2)), {"label": "y"}, ["'y'", "(2,)", "3 images"]),
    "labels of times": (
        "a.npz",
        npz(x=PICTURES, y=np.zeros(3, "M8[s]")),
        {"label": "y"},
        ["'y'", "datetime64", "numbers and strings"],
    ),
    "a label beyond the class names": (
        "a.npz",
        npz(x=PICTURES, y=np.array([0, 1, 2]), class_names=np.array(["a", "b"])),
        {"label": "y"},
        ["label 2", "row 2", "0 to 1"],
    ),
    "a class name twice": (
        "a.npz",
        npz(x=PICTURES, y=np.array([0, 1, 1]), class_names=np.array(["a", "a"])),
        {"label": "y"},
        ["'a', 'a'", "different"],
    ),
    "an archive read as text": ("a.npz", npz(x=PICTURES), {"kind": "text"}, ["'text'", "'image'"]),
    # IDX
    "a wrong magic number": ("a-idx3-ubyte", idx((3, 5, 4), magic=b"\1\0"), {}, ["01 00 08 03", "00 00"]),
    "idx floats": ("a-idx3-ubyte", idx((3, 5, 4), code=0x0D), {}, ["00 00 0d 03", "08"]),
    "idx shorts": ("a-idx3-ubyte", idx((3, 5, 4), code=0x0B, size=120), {}, ["int16", "uint8"]),
    "a truncated idx file": ("a-idx3-ubyte", idx((3, 5, 4), size=59), {}, ["75 bytes", "by its header 76", "whole"]),
    "a truncated idx header": ("a-idx3-ubyte", idx((3, 5, 4))[:10], {}, ["10 bytes", "whole"]),
    "an idx file too long": ("a-idx3-ubyte", idx((3, 5, 4), size=61), {}, ["77 bytes", "by its header 76"]),
    "a truncated idx gzip": (
        "a-idx3-ubyte.gz",
        gzip.compress(idx((3, 5, 4)), mtime=0)[:-6],
        {},
        ["cannot be read", "whole"],
    ),
    "labels given as images": ("a-idx1-ubyte", idx((3,)), {}, ["rank 1", "rank 3 or 4"]),
    "an idx file with columns": ("a-idx3-ubyte", idx((3, 5, 4)), {"id": "k"}, ["no columns", "`path`"]),
    # encoded pictures
    "a truncated png": ("a.parquet", parquet({"p": [PNG, PNG[:-40]]}), {}, ["'p'", "row 1", "damaged"]),
    "a truncated jpeg": ("a.parquet", parquet({"p": [JPEG, JPEG, JPEG[:-90]]}), {}, ["'p'", "row 2", "damaged"]),
    "a picture in another format": (
        "a.parquet",
        parquet({"p": [encoded(format="TGA")]}),
        {},
        ["row 0", "not an image", "PNG, JPEG"],
    ),
    "bytes that are no picture": ("a.parquet", parquet({"p": [PNG, b"GIF89a"]}), {}, ["'p'", "row 1", "PNG, JPEG"]),
    "a picture of another size": (
        "a.parquet",
        parquet({"p": [PNG, PNG, encoded((6, 5))]}),
        {},
        ["row 2", "grey image of 5x6", "grey image of 5x4", "row 0"],
    ),
    "a picture of another mode": (
        "a.parquet",
        parquet({"p": [PNG, encoded(mode="RGB")]}),
        {},
        ["row 1", "RGB", "grey"],
    ),
    "no picture": ("a.parquet", parquet({"p": [PNG, None]}), {}, ["'p'", "row 1", "'drop'"]),
    "a path instead of bytes": (
        "a.parquet",
        parquet({"p": [{"bytes": PNG, "path": "a.png"}, {"bytes": None, "path": "b.png"}]}),
        {},
        ["'p'", "row 1", "'drop'"],
    ),
}


def state(*names, **more):
    return json.dumps({"_data_files": [{"filename": name} for name in names], **more}).encode()


STREAM = arrow({"text": ["a", "b"], "y": [0, 1]}, pa.ipc.new_stream)
ANIMATED = io.BytesIO()
Image.new("L", (4, 5)).save(ANIMATED, "GIF", save_all=True, append_images=[Image.new("L", (4, 5), 200)])
FLOATS = io.BytesIO()
Image.fromarray(np.zeros((5, 4), np.float32)).save(FLOATS, "TIFF")
BAD_TEXT = arrow({"text": pa.array([b"fine", b"\xff\xfe"]).view(pa.string())})
GOOD_LINES = b'{"text": "a", "y": 0}\n{"text": "b", "y": 1}\n'
TWO_IMAGES = {"photos/cat/a.png": PNG, "photos/dog/b.png": PNG}

# What happens: (files by name, the path, the source's options, what the message must contain).
FORMS = {
    # JSON lines
    "empty lines": ({"a.jsonl": b""}, "a.jsonl", {}, ["a.jsonl", "empty"]),
    "blank lines": ({"a.jsonl": b"\n \n"}, "a.jsonl", {}, ["a.jsonl", "empty"]),
    "one json array of numbers": ({"a.json": b"[1, 2]"}, "a.json", {}, ["a.json", "row 0", "an object for each row"]),
    "a line that is a number": ({"a.jsonl": b'{"a": 1}\n7\n'}, "a.jsonl", {}, ["row 1", "one JSON object a line"]),
    "a line that is no json": ({"a.jsonl": b'{"a": 1}\nb: 2\n'}, "a.jsonl", {}, ["row 1", "Invalid value"]),
    "a line cut short": ({"a.jsonl": GOOD_LINES[:-9]}, "a.jsonl", {}, ["a.jsonl", "row 1"]),
    "words among numbers": ({"a.jsonl": b'{"a": 1}\n{"a": "x"}\n'}, "a.jsonl", {}, ["row 1", "column (a)", "string"]),
    "a number among words": ({"a.jsonl": b'{"a": "x"}\n{"a": 1}\n'}, "a.jsonl", {}, ["row 1", "column (a)", "number"]),
    "truth among numbers": ({"a.jsonl": b'{"a": 1}\n{"a": true}\n'}, "a.jsonl", {}, ["row 1", "column (a)", "boolean"]),
    "a key twice": ({"a.jsonl": b'{"a": 1, "a": 2}\n'}, "a.jsonl", {}, ["row 0", "column (a)", "twice"]),
    "a number too large": ({"a.jsonl": b'{"a": 1}\n{"a": 1e999}\n'}, "a.jsonl", {}, ["row 1", "too big"]),
    "half a surrogate": ({"a.jsonl": b'{"a": "\\ud800x"}\n'}, "a.jsonl", {}, ["row 0", "surrogate"]),
    "lines of nothing": ({"a.jsonl": b"{}\n{}\n"}, "a.jsonl", {}, ["no keys", "one JSON object"]),
    "lines in latin-1": ({"a.jsonl": '{"a": "é"}\n'.encode("latin-1")}, "a.jsonl", {}, ["UTF-8", "line 1"]),
    "lines in utf-16": ({"a.jsonl": GOOD_LINES.decode().encode("utf-16")}, "a.jsonl", {}, ["not a text file"]),
    "lines without a column": ({"a.jsonl": GOOD_LINES}, "a.jsonl", {"input": "txt"}, ["'txt'", "nearest: 'text'"]),
    "a missing key": ({"a.jsonl": b'{"a": 1}\n{"b": 2}\n'}, "a.jsonl", {}, ["'a'", "row 1", "`missing`"]),
    "objects for features": ({"a.jsonl": b'{"a": {"b": 1}}\n'}, "a.jsonl", {}, ["struct", "'a'", "`ignore`"]),
    "lists for labels": ({"a.jsonl": b'{"a": 1, "y": [1]}\n'}, "a.jsonl", {"label": "y"}, ["list", "'y'", "strings"]),
    "numbers for texts": ({"a.jsonl": b'{"t": 1}\n'}, "a.jsonl", {"kind": "text", "input": "t"}, ["int64", "'t'"]),
    # compression
    "plain lines called gz": ({"a.jsonl.gz": GOOD_LINES}, "a.jsonl.gz", {}, ["cannot be read", "whole"]),
    "lines in half a gzip": (
        {"a.jsonl.gz": gzip.compress(GOOD_LINES, mtime=0)[:-4]},
        "a.jsonl.gz",
        {},
        ["cannot be read"],
    ),
    "a csv in half a zstd": ({"a.csv.zst": zstd(GOOD_CSV * 99)[:-3]}, "a.csv.zst", {}, ["cannot be read", "Truncated"]),
    "a plain csv called zst": ({"a.csv.zst": GOOD_CSV}, "a.csv.zst", {}, ["cannot be read", "whole"]),
    "a gzip called zst": (
        {"a.csv.zst": gzip.compress(GOOD_CSV, mtime=0)},
        "a.csv.zst",
        {},
        ["cannot be read", "whole"],
    ),
    "an empty zstd": ({"a.csv.zst": b""}, "a.csv.zst", {}, ["a.csv.zst"]),
    "a compressed array": (
        {"a.npy.gz": gzip.compress(npy(PICTURES), mtime=0)},
        "a.npy.gz",
        {},
        ["unknown extension", ".npy"],
    ),
    # Arrow
    "an empty arrow file": ({"a.arrow": b""}, "a.arrow", {}, ["empty", "Arrow"]),
    "an arrow file without rows": ({"a.arrow": arrow({"y": pa.array([], pa.int64())})}, "a.arrow", {}, ["no rows"]),
    "a csv called arrow": ({"a.arrow": GOOD_CSV}, "a.arrow", {}, ["not a readable Arrow", "whole"]),
    "half an arrow file": ({"a.arrow": arrow({"y": [1] * 99})[:-40]}, "a.arrow", {}, ["not a readable Arrow"]),
    "half an arrow stream": ({"a.arrow": STREAM[:-60]}, "a.arrow", {}, ["Arrow", "whole"]),
    "a feather file of the first kind": ({"a.feather": b"FEA1" + bytes(60) + b"FEA1"}, "a.feather", {}, ["Arrow"]),
    "bad utf-8 in arrow": ({"a.arrow": BAD_TEXT}, "a.arrow", {"input": "text"}, ["damaged Arrow", "whole"]),
    "an arrow column twice": (
        {"a.arrow": arrow(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]))},
        "a.arrow",
        {},
        ["more than one", "'a'"],
    ),
    # a data set of Hugging Face
    "a data set without its file": ({"d/state.json": state("x.arrow")}, "d", {}, ["'x.arrow'", "state.json"]),
    "a data set without files": ({"d/state.json": state()}, "d", {}, ["no data files", "save_to_disk"]),
    "half a state": ({"d/state.json": state("x.arrow")[:-9]}, "d", {}, ["state.json is damaged"]),
    "a state that is a list": ({"d/state.json": b"[1]"}, "d", {}, ["state.json", "no object"]),
    "a state that leads elsewhere": (
        {"d/state.json": state("../x.arrow"), "x.arrow": STREAM},
        "d",
        {},
        ["'../x.arrow'", "beside it"],
    ),
    "a selection of rows kept apart": (
        {"d/state.json": state("x.arrow", _indices_data_files=[{"filename": "i.arrow"}]), "d/x.arrow": STREAM},
        "d",
        {},
        ["selection of rows", "flatten_indices"],
    ),
    "a data set of splits": (
        {"d/dataset_dict.json": b"{}", "d/train/state.json": state("x.arrow"), "d/test/state.json": state("x.arrow")},
        "d",
        {},
        ["the splits 'test', 'train'", "name the folder of one"],
    ),
    "a data set of no split": ({"d/dataset_dict.json": b"{}"}, "d", {}, ["without splits"]),
    "half a description": (
        {"d/state.json": state("x.arrow"), "d/x.arrow": STREAM, "d/dataset_info.json": b"{"},
        "d",
        {},
        ["dataset_info.json is damaged"],
    ),
    "a class name twice in a description": (
        {
            "d/state.json": state("x.arrow"),
            "d/x.arrow": STREAM,
            "d/dataset_info.json": b'{"features": {"y": {"_type": "ClassLabel", "names": ["a", "a"]}}}',
        },
        "d",
        {"input": "text", "label": "y"},
        ["different class names", "'y'"],
    ),
    "a label beyond the description": (
        {
            "d/state.json": state("x.arrow"),
            "d/x.arrow": STREAM,
            "d/dataset_info.json": b'{"features": {"y": {"_type": "ClassLabel", "names": ["a"]}}}',
        },
        "d",
        {"input": "text", "label": "y"},
        ["label 1", "row 1", "0 to 0"],
    ),
    "half a data set": ({"d/state.json": state("x.arrow"), "d/x.arrow": STREAM[:-60]}, "d", {}, ["x.arrow", "whole"]),
    "a data set beside a file": (
        {"d/state.json": state("x.arrow"), "d/x.arrow": STREAM, "a.csv": GOOD_CSV},
        ["d", "a.csv"],
        {},
        ["beside other files", "alone"],
    ),
    # .npy
    "an empty array": ({"a.npy": b""}, "a.npy", {}, ["empty", ".npy"]),
    "an array without rows": ({"a.npy": npy(np.zeros((0, 3)))}, "a.npy", {}, ["a.npy", "no rows"]),
    "a csv called npy": ({"a.npy": GOOD_CSV}, "a.npy", {}, ["does not have the header", ".npy"]),
    "half an array": ({"a.npy": npy(np.zeros((9, 3)))[:-8]}, "a.npy", {}, ["damaged", "whole"]),
    "half a header": ({"a.npy": npy(np.zeros((9, 3)))[:40]}, "a.npy", {}, ["damaged", "whole"]),
    "a header that promises the world": (
        {
            "a.npy": npy(np.zeros((9, 3)))
            .replace(b"(9, 3)", b"(9" + b"0" * 17 + b", 3)")
            .replace(b" " * 18 + b"\n", b"\n")
        },
        "a.npy",
        {},
        ["damaged", "whole"],
    ),
    "pickled rows": ({"a.npy": pickled([Traitor()])}, "a.npy", {}, ["pickled objects", "dtype=object"]),
    "pickled labels beside": (
        {"a.npy": npy(PICTURES), "y.npy": pickled([Traitor()] * 3)},
        "a.npy",
        {"label": "y.npy"},
        ["label file y.npy", "pickled objects"],
    ),
    "an array of fields": ({"a.npy": npy(np.zeros(3, "f4,i4"))}, "a.npy", {}, ["one array", "row per example"]),
    "one number": ({"a.npy": npy(np.float64(3))}, "a.npy", {}, ["shape ()", "one array"]),
    "numbers without columns": ({"a.npy": npy(np.zeros(3))}, "a.npy", {}, ["float64", "(3,)", "[N, D]"]),
    "complex numbers": ({"a.npy": npy(np.zeros((3, 2), complex))}, "a.npy", {}, ["complex128", "numbers [N, D]"]),
    "bytes for texts": ({"a.npy": npy(np.array([b"a", b"b"]))}, "a.npy", {}, ["|S1", "strings [N]"]),
    "images of fractions": ({"a.npy": npy(PICTURES / 255)}, "a.npy", {}, ["float64", "uint8"]),
    "an array with a gap": ({"a.npy": npy(np.array([[1.0], [np.nan]]))}, "a.npy", {}, ["'f0'", "row 1", "`missing`"]),
    "an endless number": ({"a.npy": npy(np.array([[1.0], [np.inf]]))}, "a.npy", {}, ["'f0'", "row 1", "finite"]),
    "an array with ids": ({"a.npy": npy(PICTURES)}, "a.npy", {"id": "k"}, ["no columns", "`label`"]),
    "too few labels beside": (
        {"a.npy": npy(PICTURES), "y.npy": npy(np.arange(2))},
        "a.npy",
        {"label": "y.npy"},
        ["3 rows", "y.npy", "(2,)"],
    ),
    "no labels beside": ({"a.npy": npy(PICTURES)}, "a.npy", {"label": "y.npy"}, ["y.npy", "no such file"]),
    "a label that is -1": (
        {"a.npy": npy(PICTURES), "y.npy": npy(np.array([0, -1, 1]))},
        "a.npy",
        {"label": "y.npy"},
        ["'-1'", "row 1", "unlabelled: -1"],
    ),
    "numbers called text": (
        {"a.npy": npy(np.zeros((3, 2)))},
        "a.npy",
        {"kind": "text"},
        ["numbers", "'text'", "'table'"],
    ),
    # image files
    "an empty folder": ({"photos/": None}, "photos", {}, ["photos", "without a readable file"]),
    "a folder of notes": ({"photos/a.txt": b"x"}, "photos", {}, ["photos", "without a readable file"]),
    "an empty image": ({**TWO_IMAGES, "photos/cat/c.png": b""}, "photos", {}, ["cat/c.png", "not an image"]),
    "a text called png": ({**TWO_IMAGES, "photos/cat/c.png": b"hello"}, "photos", {}, ["cat/c.png", "not an image"]),
    "half an image": ({**TWO_IMAGES, "photos/cat/c.png": PNG[:-40]}, "photos", {}, ["cat/c.png", "damaged"]),
    "half a jpeg": ({"photos/a.jpg": JPEG[:-90]}, "photos", {}, ["photos/a.jpg", "damaged"]),
    "a bomb": ({"photos/a.png": png_of_size(60_000, 60_000)}, "photos", {}, ["photos/a.png", "damaged or too large"]),
    "a smaller bomb": ({"photos/a.png": png_of_size(10_000, 10_000)}, "photos", {}, ["photos/a.png", "too large"]),
    "an image of no width": ({"photos/a.png": png_of_size(0, 5)}, "photos", {}, ["photos/a.png", "image"]),
    "an image of the largest width": ({"photos/a.png": png_of_size(2**31 - 1, 1)}, "photos", {}, ["photos/a.png"]),
    "images of two sizes": (
        {**TWO_IMAGES, "photos/cat/c.png": encoded((6, 5))},
        "photos",
        {},
        ["5x6", "row 1", "5x4", "`image.size`"],
    ),
    "grey beside colour": (
        {**TWO_IMAGES, "photos/cat/c.png": encoded(mode="RGB")},
        "photos",
        {},
        ["RGB", "row 1", "grey", "`image.channels`"],
    ),
    "a moving image": ({"photos/a.gif": ANIMATED.getvalue()}, "photos", {}, ["photos/a.gif", "2 frames"]),
    "an image of floats": (
        {"photos/a.tif": FLOATS.getvalue()},
        "photos",
        {},
        ["photos/a.tif", "floating point pixels"],
    ),
    "an image outside of its class": (
        {**TWO_IMAGES, "photos/c.png": PNG},
        "photos",
        {"label": "folder"},
        ["'c.png'", "outside", "subfolder"],
    ),
    "a folder with another label": (TWO_IMAGES, "photos", {"label": "class"}, ["'class'", "'file', 'folder'"]),
    "a folder with an input": (TWO_IMAGES, "photos", {"input": "file"}, ["`input`", "holds image files"]),
    "a folder called text": (TWO_IMAGES, "photos", {"kind": "text"}, ["images", "'text'"]),
    "a circle of links": (
        {**TWO_IMAGES, "photos/cat/up": Link("../../photos")},
        "photos",
        {},
        ["'up'", "circular link"],
    ),
    "a link to nothing": (
        {**TWO_IMAGES, "photos/c.png": Link("gone.png")},
        "photos",
        {},
        ["'c.png'", "broken link"],
    ),
    "a link to itself": ({"a.csv": Link("a.csv")}, "a.csv", {}, ["a.csv", "link"]),
    "images beside their labels": (
        {**TWO_IMAGES, "photos/labels.csv": b"file,y\na.png,1\n"},
        "photos",
        {},
        ["mixes", "labels.csv"],
    ),
    "a named image that is missing": (
        {"a.csv": b"file,y\na.png,0\nb.png,1\n", "a.png": PNG},
        "a.csv",
        {"kind": "image", "input": "file", "label": "y"},
        ["'b.png'", "row 1", "no such file"],
    ),
    "a name that is missing": (
        {"a.csv": b"file,y\na.png,0\n,1\n", "a.png": PNG},
        "a.csv",
        {"kind": "image", "input": "file", "label": "y"},
        ["'file'", "row 1", "'drop'"],
    ),
    "a folder for a name": (
        {"a.csv": b"file,y\nphotos,0\n", **TWO_IMAGES},
        "a.csv",
        {"kind": "image", "input": "file", "label": "y"},
        ["'photos'", "row 0", "no such file"],
    ),
    "names in another folder": (
        {"a.csv": b"file,y\na.png,0\n", "photos/a.png": PNG},
        "a.csv",
        {"kind": "image", "input": "file", "folder": "elsewhere"},
        ["'a.png'", "row 0", "elsewhere"],
    ),
    # several files
    "a glob for nothing": ({"a.csv": GOOD_CSV}, "b*.csv", {}, ["b*.csv", "matches no file"]),
    "a glob for folders": ({"ab/a.csv": GOOD_CSV}, "a*", {}, ["a*", "matches no file"]),
    "a file twice": ({"a.csv": GOOD_CSV}, ["a.csv", "*.csv"], {}, ["a.csv", "twice"]),
    "a file and a link to it": ({"a.csv": GOOD_CSV, "b.csv": Link("a.csv")}, "*.csv", {}, ["b.csv", "twice"]),
    "shards of other columns": (
        {"a.csv": GOOD_CSV, "b.csv": b"text,z\na,0\n"},
        "*.csv",
        {},
        ["b.csv", "a.csv", "'y', 'z'", "both"],
    ),
    "shards of other types": (
        {"a.parquet": GOOD_PARQUET, "b.parquet": parquet({"text": ["a"], "y": ["no"]})},
        "*.parquet",
        {"input": "text", "label": "y"},
        ["b.parquet", "'y'", "string", "int64", "a.parquet"],
    ),
    "a damaged shard": (
        {"a.parquet": GOOD_PARQUET, "b.parquet": GOOD_PARQUET[:-9]},
        "*.parquet",
        {},
        ["b.parquet", "not a readable Parquet"],
    ),
    "an empty shard": ({"a.csv": GOOD_CSV, "b.csv": b""}, "*.csv", {}, ["b.csv", "empty"]),
    "a gap in a shard": (
        {"a.csv": GOOD_CSV, "b.csv": b"text,y\nx,0\n,1\n"},
        "*.csv",
        {"input": "text"},
        ["'text'", "row 1", "of b.csv"],
    ),
    "columns beside arrays": ({"a.csv": GOOD_CSV, "b.npz": npz(x=PICTURES)}, "*", {}, ["mixes", "a.csv", "b.npz"]),
    "arrays of other shapes": (
        {"a.npz": npz(x=PICTURES), "b.npz": npz(x=PICTURES[:, :4])},
        "*.npz",
        {},
        ["b.npz", "(1, 4, 4)", "(1, 5, 4)"],
    ),
    "arrays of other widths": (
        {"a.npy": npy(np.zeros((3, 2))), "b.npy": npy(np.zeros((3, 4)))},
        "*.npy",
        {},
        ["b.npy", "4 numbers per row", "2"],
    ),
    "arrays of other kinds": (
        {"a.npy": npy(np.zeros((3, 2))), "b.npy": npy(np.array(["a"]))},
        "*.npy",
        {},
        ["b.npy", "different kinds"],
    ),
    "labels for one of two files": (
        {"a.npy": npy(PICTURES), "b.npy": npy(PICTURES), "y/y.npy": npy(np.arange(3))},
        "*.npy",
        {"label": "y/y.npy"},
        ["2 files", "matches 1"],
    ),
    "a null in the path": ({"a.csv": GOOD_CSV}, "a\0.csv", {}, ["null character"]),
    # options and values
    "categories without a column": ({"a.csv": GOOD_CSV}, "a.csv", {"categories": ("z",)}, ["'z'", "`categories`"]),
    "fractions for categories": (
        {"a.jsonl": b'{"a": 1.5}\n'},
        "a.jsonl",
        {"categories": ("a",)},
        ["1.5", "'a'", "row 0", "whole"],
    ),
    "dates out of range": (
        {"a.arrow": arrow({"d": pa.array([0, 2**60], pa.timestamp("s"))})},
        "a.arrow",
        {},
        ["'d'", "out of range"],
    ),
    "intervals": (
        {"a.arrow": arrow({"d": pa.array([pa.MonthDayNano([1, 2, 3])])})},
        "a.arrow",
        {},
        ["month_day_nano", "'d'"],
    ),
}


def one_sentence(error, within=""):
    message = str(error.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert ". " not in message
    assert len(message.replace(within, "")) < 400
    # Nothing of the library that failed underneath is shown to the user.
    assert error.value.__suppress_context__ or error.value.__context__ is None
    return message


@pytest.mark.parametrize("case", FILES)
def test_a_malformed_file_is_refused_in_one_sentence(case, tmp_path):
    file_name, data, options, says = FILES[case]
    path = tmp_path / file_name.rstrip("/")
    if file_name.endswith("/"):
        path.mkdir()
    elif data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError) as error:
        read(Source(path=str(path), **options), role="pool")
    message = one_sentence(error)
    assert message.startswith("pool (")
    assert path.name in message
    for words in says:
        assert words in message
    if "row 1" in says or "row 2" in says:
        assert "counting from 0" in message


def laid_out(case, folder):
    """The files of a case in a folder; the path or paths to read, and the options."""
    files, path, options, _ = FORMS[case]
    for name, data in files.items():
        place = folder / name.rstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, Link):
            place.symlink_to(data)
        elif data is None:
            place.mkdir()
        else:
            place.write_bytes(data)
    paths = [path] if isinstance(path, str) else path
    options = dict(options)
    for option in ("label", "folder"):
        if option in options and ("." in options[option] or option == "folder"):
            options[option] = str(folder / options[option])
    inside = tuple(str(folder / each) for each in paths)
    return (inside if len(inside) > 1 else inside[0]), options


@pytest.mark.parametrize("case", FORMS)
def test_a_malformed_form_is_refused_in_one_sentence(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, options = laid_out(case, tmp_path)
    with pytest.raises(InputError) as error:
        read(Source(path=path, **options), role="pool")
    message = one_sentence(error, within=str(tmp_path))
    assert message.startswith("pool (")
    for words in FORMS[case][3]:
        assert words in message
    assert not Path("unpickled.txt").exists()


def test_there_are_enough_malformed_inputs():
    assert len(FILES) + len(FORMS) >= 170


@pytest.mark.parametrize("case", [*FILES, *FORMS])
def test_the_command_ends_with_that_sentence_and_touches_nothing(case, tmp_path, monkeypatch, capsys):
    """Exit code 2, one line, and the output folder as it was: missing, or empty."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    if case in FORMS:
        path, options = laid_out(case, data)
    else:
        name, content, options, _ = FILES[case]
        path = str(data / name.rstrip("/"))
        if name.endswith("/"):
            Path(path).mkdir()
        elif content is not None:
            Path(path).write_bytes(content)
    source = {"path": path, **options}
    source = {name: list(value) if isinstance(value, tuple) else value for name, value in source.items()}
    files = {"all": source}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump({"data": {"files": files, "rows": {"labelled": 1, "test": 1}}}))
    place = tmp_path / "run"
    there = len(case) % 2 == 0
    if there:
        place.mkdir()
    before = sorted(each.relative_to(tmp_path) for each in tmp_path.rglob("*"))
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        with pytest.raises(SystemExit) as stopped:
            cli.main(["run", "x.yaml", "--out", "run"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith("overproof: ")
    assert said[0].endswith(".")
    assert sorted(each.relative_to(tmp_path) for each in tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("reviews.cvs", ["no such file", "nearest: 'reviews.csv'"]),
        ("nowhere/reviews.csv", ["no such folder"]),
        ("package:no_such_package_here/a.csv", ["'no_such_package_here'", "not installed"]),
        ("package:sklearn/datasets/data/irsi.csv", ["no such file", "nearest: 'iris.csv'"]),
        ("package:json", ["package:MODULE/relative/file"]),
        ("package:a.b/c.csv", ["package:MODULE/relative/file"]),
        ("package:sys/c.csv", ["'sys'", "not installed"]),
    ],
)
def test_a_wrong_path_is_named(path, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_bytes(GOOD_CSV)
    with pytest.raises(InputError) as error:
        read(Source(path=path), role="test")
    message = one_sentence(error)
    assert message.startswith("test")
    for words in [path, *says]:
        assert words in message


def test_labels_of_another_length_name_both_files(tmp_path):
    (tmp_path / "a-idx3-ubyte").write_bytes(idx((3, 5, 4)))
    (tmp_path / "a-idx1-ubyte").write_bytes(idx((2,)))
    source = Source(path=str(tmp_path / "a-idx3-ubyte"), label=str(tmp_path / "a-idx1-ubyte"))
    with pytest.raises(InputError) as error:
        read(source, role="pool")
    message = one_sentence(error)
    for words in ("a-idx3-ubyte", "3 images", "a-idx1-ubyte", "(2,)"):
        assert words in message


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kind": "images"}, ["kind", "'images'", "'image'", "'auto'"]),
        ({"missing": "ignore"}, ["missing", "'ignore'", "'refuse'", "'drop'", "'allow'"]),
        ({"ignore": "ab"}, ["ignore", "'ab'", "list"]),
        ({"classes": ("a", "b", "a")}, ["classes", "'a'", "once"]),
        ({"input": "y", "label": "y"}, ["'y', 'y'", "different"]),
        ({"categories": "ab"}, ["categories", "'ab'", "list"]),
    ],
)
def test_a_wrong_option_is_named(options, says):
    # Field by field, since the types that tests execute would refuse some of these before the source can.
    source = object.__new__(Source)
    defaults = {field.name: getattr(Source(path="a.csv"), field.name) for field in fields(Source)}
    for option, value in {**defaults, **options}.items():
        object.__setattr__(source, option, value)
    with pytest.raises(InputError) as error:
        source.__post_init__()
    message = one_sentence(error)
    for words in ["a.csv", *says]:
        assert words in message


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"size": 0}, ["image.size", "0", "1 to 16384"]),
        ({"size": (5, 99999)}, ["image.size", "(5, 99999)"]),
        ({"crop_share": 1.5, "size": 4}, ["image.crop_share", "1.5", "(0, 1]"]),
        ({"crop_share": 0.5}, ["image.crop_share", "image.size"]),
        ({"crop_share": 0.5, "size": 4, "fit": "pad"}, ["image.crop_share", "'crop'"]),
    ],
)
def test_a_wrong_image_option_is_named(options, says):
    with pytest.raises(InputError) as error:
        ImageOptions(**options)
    message = one_sentence(error)
    for words in says:
        assert words in message


@pytest.mark.parametrize(
    ("inputs", "options", "says"),
    [
        (np.zeros((2, 3, 4, 5)), {}, ["float64", "(2, 3, 4, 5)", "uint8"]),
        (np.zeros((2, 4, 5, 2), np.uint8), {}, ["(2, 4, 5, 2)", "C 1 or 3"]),
        (np.zeros((2, 3, 4, 3), np.uint8), {}, ["(2, 3, 4, 3)", "axis 1 or 3"]),
        (np.zeros((2, 0, 4), np.uint8), {}, ["height and width", "at least 1"]),
        (np.zeros((2, 784), np.uint8), {}, ["uint8", "(2, 784)", "[N, H, W]"]),
        (np.zeros(3), {}, ["float64", "(3,)", "[N, D]"]),
        (torch.zeros(2, 2, dtype=torch.complex64), {}, ["complex64", "numbers [N, D]"]),
        (np.array([[1.0, 2.0], [3.0, np.nan]]), {}, ["'f1'", "row 1"]),
        (np.array([[1.0, np.inf]]), {}, ["'f1'", "row 0", "finite"]),
        ([], {}, ["no rows", "at least one"]),
        (["a", None], {}, ["no text in row 1", "leave the row out"]),
        ("abc", {}, ["one string", "list of strings"]),
        (["a", "b"], {"label": [0]}, ["2 inputs", "1 labels"]),
        (["a", "b"], {"keys": ["x"]}, ["2 inputs", "1 keys"]),
        (["a", "b"], {"keys": ["x", 1]}, ["several types", "strings"]),
        (["a", "b"], {"keys": ["x", "x"]}, ["'x'", "row 0", "row 1"]),
        (["a", "b"], {"label": [0, 2], "class_names": ["n", "p"]}, ["label 2", "row 1", "0 to 1"]),
        (["a", "b"], {"label": [-2, 0]}, ["label -2", "row 0", "-1 for unknown"]),
        (["a", "b"], {"label": [0.5, 1.0]}, ["float64", "integer or string"]),
        (["a", "b"], {"label": np.eye(2)}, ["(2, 2)", "one integer or string per row"]),
        (["a", "b"], {"label": ["n", "q"], "class_names": ["n", "p"]}, ["'q'", "row 1", "'n', 'p'"]),
        (["a", "b"], {"label": ["n", 3]}, ["int", "row 1", "strings"]),
        (["a"], {"class_names": ["n", "n"]}, ["'n', 'n'", "once"]),
    ],
)
def test_a_malformed_array_is_refused_in_one_sentence(inputs, options, says):
    with pytest.raises(InputError) as error:
        from_arrays(inputs, **options, origin="my reviews")
    message = one_sentence(error)
    for words in ["my reviews", *says]:
        assert words in message


TEXTS = from_arrays(["a", "b", "c"], ["cat", "dog", "cat"], origin="labelled (a.csv)")


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ({"labelled": from_arrays(["a"], origin="labelled (a.csv)")}, ["no label is known", "two"]),
        ({"labelled": from_arrays(["a"], ["cat"], origin="labelled (a.csv)")}, ["1 classes", "'cat'", "-1"]),
        ({"labelled": TEXTS.take(np.array([0, 2]))}, ["no labelled example", "'dog'", "at least one"]),
        ({"test": from_arrays(["d"], ["emu"], origin="test (b.csv)")}, ["test (b.csv)", "'emu'", "'cat', 'dog'"]),
        ({"pool": from_arrays(["d"], ["emu"], origin="pool (b.csv)")}, ["pool (b.csv)", "'emu'", "'cat', 'dog'"]),
    ],
)
def test_classes_that_do_not_fit_between_the_roles_are_named(others, says):
    with pytest.raises(InputError) as error:
        class_space({"labelled": TEXTS, **others})
    message = one_sentence(error)
    for words in ["labelled (a.csv)", *says]:
        assert words in message


def test_an_example_of_no_shared_class_is_not_aligned():
    with pytest.raises(InputError) as error:
        aligned({"labelled": TEXTS}, ("cat", "emu"))
    assert "labelled (a.csv) has examples of class 'dog'" in one_sentence(error)


@pytest.mark.parametrize(
    ("found", "says", "silent"),
    [
        (["dog", "cat", "emu"], ["permuted", "class 0 is 'dog' instead of 'cat'"], ["missing", "extra"]),
        (["cat", "emu"], ["missing classes 'dog'"], ["extra", "permuted"]),
        (["cat", "dog", "emu", "fox"], ["extra classes 'fox'"], ["missing", "permuted"]),
        (["cat", "dog", "fox"], ["missing classes 'emu'", "extra classes 'fox'"], ["permuted"]),
        (["cat", "cat", "dog", "emu"], ["repeated classes 'cat'"], ["missing", "extra"]),
        ([], ["missing classes 'cat', 'dog', 'emu'"], ["extra"]),
    ],
)
def test_a_teacher_with_other_classes_is_told_which(found, says, silent):
    with pytest.raises(InputError) as error:
        check_classes(("cat", "dog", "emu"), found, "teacher (answers.parquet)")
    message = one_sentence(error)
    for words in ["teacher (answers.parquet)", "exactly 'cat', 'dog', 'emu' in this order", *says]:
        assert words in message
    for words in silent:
        assert words not in message


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"labelled": 2, "pool": 3}, ["5 rows", "labelled 2, pool 3", "4 distinct"]),
        ({"labelled": 3}, ["3 rows", "'labelled'", "2 are left"]),
        ({"labelled": 1, "test": 2}, ["2 rows", "'test'", "1 are left"]),
        ({"labelled": 0, "pool": 1}, ["labelled 0", "at least 1"]),
        ({"pool": -1}, ["pool -1", "at least 1"]),
    ],
)
def test_a_split_larger_than_the_set_names_both_numbers(counts, says):
    rows = from_arrays(["a", "b", "b", "c", "d"], ["x", "y", "y", None, None], origin="reviews (a.csv)")
    with pytest.raises(InputError) as error:
        split(rows, counts, seed=0)
    message = one_sentence(error)
    for words in ["reviews (a.csv)", *says]:
        assert words in message


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (from_arrays(np.ones((1, 1)), origin="pool (b)"), ["table", "text"]),
        (from_arrays(["d"], ["emu"], origin="pool (b)"), ["'emu'", "'cat', 'dog'", "align"]),
    ],
)
def test_parts_that_do_not_fit_are_not_put_together(other, says):
    with pytest.raises(InputError) as error:
        concatenate([TEXTS, other])
    message = one_sentence(error)
    for words in ["pool (b)", "labelled (a.csv)", *says]:
        assert words in message


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        (np.zeros((1, 4, 4), np.uint8), np.zeros((1, 5, 4), np.uint8), ["(1, 5, 4)", "(1, 4, 4)"]),
        (pa.table({"n": [1]}), pa.table({"m": [1]}), ["'m', 'n'", "both"]),
        (pa.table({"k": [1], "n": [1]}), pa.table({"k": [0.5], "n": ["x"]}), ["'n'", "'int64'", "'large_string'"]),
    ],
)
def test_inputs_of_another_form_are_not_put_together(a, b, says):
    with pytest.raises(InputError) as error:
        concatenate([from_arrays(a, origin="one"), from_arrays(b, origin="two")])
    message = one_sentence(error)
    for words in ["one", "two", *says]:
        assert words in message


def random_damage(data, rng):
    damaged = bytearray(data)
    if rng.random() < 0.3:
        return bytes(damaged[: rng.integers(len(damaged))])
    damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("file_name", "data", "options"),
    [
        ("a.npz", npz(x=PICTURES, y=np.arange(3)), {"label": "y"}),
        ("a-idx3-ubyte", idx((3, 5, 4)), {}),
        ("a-idx3-ubyte.gz", gzip.compress(idx((3, 5, 4)), mtime=0), {}),
        ("text.parquet", GOOD_PARQUET, {"input": "text", "label": "y"}),
        ("image.parquet", parquet({"p": [PNG, PNG], "y": [0, 1]}, compression="none"), {"label": "y"}),
        ("a.csv", b'text,y\n"a, b",0\nc,1\n', {"input": "text", "label": "y"}),
        ("a.jsonl", GOOD_LINES, {"input": "text", "label": "y"}),
        ("a.csv.zst", zstd(GOOD_CSV), {"input": "text", "label": "y"}),
        ("a.arrow", arrow({"text": ["a", "b", "c"], "y": [0, 1, 0]}), {"input": "text", "label": "y"}),
        ("s.arrow", STREAM, {"input": "text", "label": "y"}),
        ("a.npy", npy(PICTURES), {}),
        ("t.npy", npy(np.array([[1.0, 2.0], [3.0, 4.0]])), {}),
        ("a.png", PNG, {}),
        ("a.jpg", JPEG, {}),
        ("a.gif", encoded(format="GIF"), {}),
        ("a.tif", encoded(mode="CMYK", format="TIFF"), {}),
        ("a.webp", encoded(mode="RGB", format="WEBP"), {}),
        ("a.bmp", encoded(format="BMP"), {}),
    ],
)
def test_no_damage_shows_anything_but_one_sentence(file_name, data, options, tmp_path):
    rng = np.random.default_rng(0)
    refused = []
    for _ in range(60):
        (tmp_path / file_name).write_bytes(random_damage(data, rng))
        try:
            assert len(read(Source(path=str(tmp_path / file_name), **options), role="pool")) > 0
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 5
    assert all("\n" not in message and file_name in message for message in refused)
