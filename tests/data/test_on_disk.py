"""Pools larger than memory: inputs on disk are the same examples, and give the same students byte for byte."""

import datetime
import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from overproof.api import run
from overproof.data import (
    Examples,
    Source,
    concatenate,
    duplicates,
    from_arrays,
    num_distinct,
    on_disk,
    read,
    read_on_disk,
    split,
)
from overproof.errors import InputError
from overproof.models import ModelSpec, OnDisk, Placed, TableEncoder
from overproof.models import encoding_cache as encoded
from overproof.models.encoders import NgramEncoder
from overproof.models.encoding_cache import EncodingCache
from overproof.runs.experiment import experiment_from
from overproof.runs.pipeline import open_run
from overproof.synthetic import blobs
from overproof.teachers.trained.network import Network
from overproof.training.options import TrainOptions

WORDS = ["so good", "bad", "a fine one", "", "good and bad", "never again", "é", "日本"]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Many pieces and blocks of small files."""
    monkeypatch.setattr(on_disk, "ROWS_PER_PIECE", 64)
    monkeypatch.setattr(encoded, "ROWS_PER_BLOCK", 48)


def picture(seed):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 5), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def table(num=150):
    rng = np.random.default_rng(0)
    day = datetime.date(2020, 1, 1)
    return pa.table(
        {
            "number": pa.array(rng.normal(size=num), mask=rng.random(num) < 0.1),
            "whole": pa.array(rng.integers(-5, 5, num)),
            "flag": pa.array(rng.random(num) < 0.5, mask=rng.random(num) < 0.1),
            "word": pa.array(rng.choice(["red", "green", None], num).tolist()),
            "day": pa.array([day + datetime.timedelta(days=int(each)) for each in rng.integers(0, 999, num)]),
            "nothing": pa.nulls(num),
            "y": pa.array(rng.integers(8, 12, num), mask=rng.random(num) < 0.3),
            "key": pa.array([f"k{index}" for index in range(num)]),
        }
    )


def texts(num=150):
    rng = np.random.default_rng(1)
    said = [" ".join(rng.choice(WORDS, 3)) for _ in range(num)]
    return pa.table({"said": said, "y": rng.choice(["yes", "no", ""], num).tolist()})


def images(num=150):
    return pa.table(
        {"picture": [picture(index % 100) for index in range(num)], "y": [index % 3 for index in range(num)]}
    )


SOURCES = {
    "table": (table, {"label": "y", "id": "key", "missing": "allow"}),
    "classes": (table, {"label": "y", "missing": "allow", "classes": ("11", "10", "9", "8"), "ignore": ("key",)}),
    "text": (texts, {"input": "said", "label": "y"}),
    "where": (texts, {"input": "said", "where": {"y": "yes"}}),
    "image": (images, {"label": "y"}),
}


def source_of(name, folder):
    make, options = SOURCES[name]
    pq.write_table(make(), folder / f"{name}.parquet", row_group_size=40)
    return Source(path=str(folder / f"{name}.parquet"), **options)


def same_inputs(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    return one.equals(other) if isinstance(one, pa.Array) else one.equals(other.select(one.column_names))


def check_same(found: Examples, expected: Examples):
    assert (found.kind, found.origin, found.class_names) == (expected.kind, expected.origin, expected.class_names)
    assert np.array_equal(found.ids, expected.ids)
    assert torch.equal(found.label, expected.label)
    assert (found.keys is None) == (expected.keys is None)
    assert found.keys is None or found.keys.equals(expected.keys)
    assert same_inputs(found.inputs, expected.inputs)


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_read_onto_disk_is_what_is_read(name, tmp_path):
    source = source_of(name, tmp_path)
    expected, found = read(source, role="pool"), read_on_disk(source, role="pool", folder=tmp_path / "staged")
    assert found.mapped is not None
    check_same(found, expected)
    picked = np.random.default_rng(0).permutation(len(expected))[:50]
    check_same(found.take(picked), expected.take(picked))
    settled = found.take(picked).settled()
    check_same(settled, expected.take(picked))
    assert len(settled.mapped.used) == 50
    parts = list(settled.parts(32))
    assert [len(part) for part in parts] == [32, 18]
    check_same(parts[1], expected.take(picked[32:50]))
    assert parts[1].mapped is None
    assert settled.digest() == expected.take(picked).digest()


def test_arrays_are_put_on_disk_too(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (150, 7, 7), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=pixels, y=np.arange(150) % 4)
    source = Source(path=str(tmp_path / "x.npz"), label="y")
    check_same(read_on_disk(source, role="pool", folder=tmp_path / "staged"), read(source, role="pool"))


@pytest.mark.parametrize("name", ["table", "text", "image"])
def test_sets_on_disk_are_put_end_to_end_without_being_read(name, tmp_path):
    source = source_of(name, tmp_path)
    here, there = read(source, role="pool"), read_on_disk(source, role="pool", folder=tmp_path / "staged")
    few = np.array([3, 1, 100])
    expected = concatenate([here, here.take(few)])
    found = concatenate([there, here.take(few)])
    assert not isinstance(found.held, torch.Tensor | pa.Array | pa.Table)
    check_same(found, expected)
    picked = np.random.default_rng(0).permutation(len(expected))[:60]
    check_same(found.take(picked), expected.take(picked))


def test_files_are_read_once_and_again_when_they_change(tmp_path, monkeypatch):
    source = source_of("text", tmp_path)
    first = read_on_disk(source, role="pool", folder=tmp_path / "staged")

    def refuse(*arguments, **options):
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr(on_disk, "open_pieces", refuse)
        check_same(read_on_disk(source, role="pool", folder=tmp_path / "staged"), first)
        with pytest.raises(AssertionError, match="read again"):
            read_on_disk(Source(path=source.path, input="said"), role="pool", folder=tmp_path / "staged")
    pq.write_table(texts(40), source.path)
    assert len(read_on_disk(source, role="pool", folder=tmp_path / "staged")) == 40


def test_a_killed_reading_goes_on(tmp_path, monkeypatch):
    source, seen = source_of("table", tmp_path), []
    monkeypatch.setattr("overproof.storage.arrays.SECONDS_BETWEEN_NOTES", 0.0)
    whole = on_disk._pieces

    def killed(*arguments):
        for number, piece in enumerate(whole(*arguments)):
            if number == 2:
                raise KeyboardInterrupt
            yield piece

    with monkeypatch.context() as patch:
        patch.setattr(on_disk, "_pieces", killed)
        with pytest.raises(KeyboardInterrupt):
            read_on_disk(source, role="pool", folder=tmp_path / "staged")
    monkeypatch.setattr(on_disk, "_pieces", lambda *arguments: seen.append(arguments[-1]) or whole(*arguments))
    check_same(read_on_disk(source, role="pool", folder=tmp_path / "staged"), read(source, role="pool"))
    assert seen == [2]


def test_an_id_that_stands_twice_is_refused_across_pieces(tmp_path):
    doubled = texts(150).append_column("key", pa.array([f"k{index % 149}" for index in range(150)]))
    pq.write_table(doubled, tmp_path / "x.parquet")
    source = Source(path=str(tmp_path / "x.parquet"), input="said", label="y", id="key")
    with pytest.raises(InputError, match=r"pool \(x.parquet\) has 'k0' in column 'key' twice"):
        read_on_disk(source, role="pool", folder=tmp_path / "staged")


# --- encodings


def test_encodings_on_disk_are_those_in_memory(tmp_path):
    for name, fit in (
        ("table", TableEncoder.fit),
        ("text", lambda parts: NgramEncoder(words=(1, 2), characters=(3, 3), buckets=512, max_characters=9)),
    ):
        source = source_of(name, tmp_path)
        there = read_on_disk(source, role="pool", folder=tmp_path / "staged")
        picked = np.random.default_rng(0).permutation(len(there))[:100]
        there, here = there.take(picked).settled(), read(source, role="pool").take(picked)
        assert fit([there]) == fit([here])
        expected = fit([here]).encode(here)
        for _ in range(2):
            found = EncodingCache(folder=tmp_path / "encoded").encode(fit([there]), there)
            assert isinstance(found, Placed)
            assert isinstance(found.inputs, OnDisk)
            rows = torch.tensor([99, 0, 50, 50])
            assert torch.equal(found.take(rows), expected.take(rows))
    assert len(list((tmp_path / "encoded").glob("[!.]*"))) == 2


def test_a_teacher_counts_the_n_grams_of_a_pool_on_disk_part_by_part_and_once(tmp_path, monkeypatch):
    source, parts, encode = source_of("text", tmp_path), [], NgramEncoder.encode

    def counting(encoder, examples):
        parts.append(len(examples))
        return encode(encoder, examples)

    there, here = read_on_disk(source, role="pool", folder=tmp_path / "staged"), read(source, role="pool")
    spec, label = ModelSpec(name="ngram", options={"buckets": 512}), torch.arange(len(here)) % 2
    pieces = Examples.parts
    monkeypatch.setattr(Examples, "parts", lambda examples, num_rows=64: pieces(examples, num_rows))
    monkeypatch.setattr(NgramEncoder, "encode", counting)
    fitted, recipe = [], TrainOptions(epochs=1, batch_size=8)
    for pool in (there, here):
        made = Network(spec=spec, examples=(pool,), train=lambda student, *_: fitted.append(student), recipe=recipe)
        parts.clear()
        for fold in range(2):
            few = replace(here.take(torch.arange(4)), label=label[:4], class_names=("a", "b"))
            made.fit(few, num_classes=2, seed=fold, folder=tmp_path / f"{len(fitted)}")
        # Of the pool once; four rows whose scores are looked at, for each fit.
        assert sum(parts) == len(here) + 2 * 4
        assert max(parts) <= (64 if pool is there else len(here))
    assert all(torch.equal(each.module.idf, fitted[0].module.idf) for each in fitted)
    assert fitted[0].module.idf.any()


# --- draws


def test_draws_are_the_same_however_ids_are_sorted():
    """The order that decides every draw: by content, a known label first."""
    rng = np.random.default_rng(0)
    examples = from_arrays(
        [WORDS[index] for index in rng.integers(0, 8, 300)], rng.integers(-1, 2, 300), class_names=["a", "b"]
    )
    label = examples.label.numpy()
    order = np.lexsort((label.astype(np.uint64), examples.ids.view("S16")))
    ids = examples.ids[order]
    expected = order[np.append(True, ids[1:] != ids[:-1])]
    from overproof.data.splits import _distinct

    assert np.array_equal(_distinct(examples), expected)
    assert num_distinct(examples) == len(expected) == 8
    other = from_arrays(["bad", "é", "other"])
    assert np.array_equal(duplicates(examples, other), np.flatnonzero(np.isin(examples.ids, other.ids)))
    assert len(duplicates(examples, other.take(np.arange(0)))) == 0
    assert len(split(examples, {"labelled": 2, "pool": 6}, seed=0)["pool"]) == 6


# --- runs


def written(folder: Path) -> dict[str, bytes]:
    """Everything that a run leaves but its options, records of them and of its inputs, and what may be made again."""
    skipped = {"log.txt", "costs.jsonl", "experiment.yaml", "citations.json", "inputs.json"}
    files = (
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name not in skipped and path != folder / "manifest.json"
    )
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if not {"staged", "encoded", "cache"} & set(path.relative_to(folder).parts)
    }


def content_of(kind, folder):
    train = {"epochs": 2, "batch_size": 32}
    common = {"train": train, "methods": ["slam"], "seeds": [0]}
    rows = {"labelled": 40, "pool": 90, "test": 50}
    if kind == "table":
        world = blobs(num_examples=200, num_classes=3, seed=0)
        columns = {f"x{index}": column for index, column in enumerate(world.inputs.T.numpy())}
        words = np.random.default_rng(0).choice(["red", "green"], 200)
        pq.write_table(pa.table({**columns, "word": words, "y": world.label.numpy()}), folder / "x.parquet")
        teacher = {"model": "sklearn.linear_model:LogisticRegression", "folds": 2}
        files = {"all": {"path": str(folder / "x.parquet"), "label": "y"}}
        common |= {"methods": ["wd"], "seeds": [0, 1]}
    elif kind == "text":
        rng = np.random.default_rng(0)
        label = rng.integers(0, 2, 200)
        said = [
            " ".join(rng.choice(["good", "fine", "so"] if y else ["bad", "worse", "so"], 4)) + f" {n}"
            for n, y in enumerate(label)
        ]
        for name, part in (("known", slice(0, 110)), ("pool", slice(110, 200))):
            pq.write_table(pa.table({"said": said[part], "y": label[part]}), folder / f"{name}.parquet")
        files = {
            "all": {"path": str(folder / "known.parquet"), "input": "said", "label": "y"},
            "pool": {"path": str(folder / "pool.parquet"), "input": "said"},
        }
        few = {"buckets": 512}
        teacher = {"model": "ngram", "folds": 2, "train": train, "options": few}
        rows, common["student"] = {"labelled": 40, "test": 50}, {"name": "ngram", "options": few}
    else:
        rng = np.random.default_rng(0)
        label = rng.integers(0, 2, 200)
        pixels = rng.integers(0, 120, (200, 8, 8)) + 100 * label[:, None, None]
        np.savez(folder / "x.npz", images=pixels.astype(np.uint8), y=label)
        files, teacher = (
            {"all": {"path": str(folder / "x.npz"), "label": "y"}},
            {"model": "linear", "folds": 2, "train": train},
        )
        common["student"] = {"name": "cnn", "options": {"width": 4}}
    return {"data": {"files": files, "rows": rows}, "teacher": teacher, **common}


@pytest.mark.parametrize("kind", ["table", "text", "image"])
def test_students_from_disk_are_those_from_memory_byte_for_byte(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("overproof.training.examples.MAX_EXPANDED", 10)
    content = content_of(kind, tmp_path)
    run(experiment_from(content, ["data.on_disk=never"]), tmp_path / "memory")
    assert not {"staged", "encoded"} & {each.name for each in (tmp_path / "memory").iterdir()}
    run(experiment_from(content, ["data.on_disk=always"]), tmp_path / "disk")
    assert (tmp_path / "disk/staged").is_dir()
    assert written(tmp_path / "disk") == written(tmp_path / "memory")
    if kind == "table":
        # What may be deleted is made again, and nothing else changes.
        for name in ("staged", "encoded", "students/seed-1/wd"):
            shutil.rmtree(tmp_path / "disk" / name)
        (tmp_path / "disk/result.json").unlink()
        open_run(tmp_path / "disk").distill()
        open_run(tmp_path / "disk").evaluate()
        assert written(tmp_path / "disk") == written(tmp_path / "memory")
        assert open_run(tmp_path / "disk").assess().num_labelled > 0


def test_a_refused_file_leaves_the_folder_as_it_was(tmp_path):
    content = content_of("text", tmp_path)
    pq.write_table(pa.table({"said": ["fine"] * 100 + [None]}), tmp_path / "pool.parquet")
    for folder in (tmp_path / "new", tmp_path / "empty"):
        if folder.name == "empty":
            folder.mkdir()
        with pytest.raises(InputError, match=r"no text in column 'said', row 100"):
            run(experiment_from(content, ["data.on_disk=always"]), folder)
    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "empty").iterdir()) == []
