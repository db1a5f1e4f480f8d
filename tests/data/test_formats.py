"""Every form of data on disk gives the same examples: shards and folders, JSON lines, arrays, Arrow, image folders."""

import gzip
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from PIL import Image

from overproof.data import ImageOptions, Source, concatenate, from_arrays, pieces, read
from overproof.data.preview import preview
from overproof.errors import InputError
from overproof.runs.experiment import dump, experiment_from

TABLE = pa.table(
    {
        "id": ["007", "b", "9", "x", "y"],
        "text": ["so, so", "two\nlines", "é", "日本語", "fine"],
        "stars": [1, None, 5, 3, 2],
        "price": [0.5, 2.0, 1e300, -1.0, 3.0],
        "good": [False, True, True, False, None],
    }
)


def as_csv(table):
    file = io.BytesIO()
    pyarrow.csv.write_csv(table, file)
    return file.getvalue()


def as_jsonl(table):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist()).encode()


def zstd(data):
    return pa.compress(data, codec="zstd", asbytes=True)


def as_arrow(table, opened=pa.ipc.new_file):
    file = io.BytesIO()
    with opened(file, table.schema) as writer:
        # In two batches, as large files are.
        writer.write_table(table.slice(0, 2))
        writer.write_table(table.slice(2))
    return file.getvalue()


def as_parquet(table):
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=2)
    return file.getvalue()


def as_feather(table):
    file = io.BytesIO()
    pyarrow.feather.write_feather(table, file, compression="lz4")
    return file.getvalue()


FORMS = {
    "a.csv": as_csv,
    "a.csv.gz": lambda table: gzip.compress(as_csv(table)),
    "a.csv.zst": lambda table: zstd(as_csv(table)),
    "a.jsonl": as_jsonl,
    "a.ndjson": as_jsonl,
    "a.jsonl.gz": lambda table: gzip.compress(as_jsonl(table)),
    "a.jsonl.zst": lambda table: zstd(as_jsonl(table)),
    "a.parquet": as_parquet,
    "a.arrow": as_arrow,
    "stream.arrow": lambda table: as_arrow(table, pa.ipc.new_stream),
    "a.feather": as_feather,
}


def everything(examples):
    label = [examples.class_names[i] if i >= 0 else None for i in examples.label.tolist()]
    return examples.ids.tolist(), label, None if examples.keys is None else examples.keys.to_pylist()


def written(folder, forms):
    for name, data in forms.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


# --- files of rows


@pytest.mark.parametrize("name", FORMS)
def test_rows_are_the_same_in_every_form(name, tmp_path):
    written(tmp_path, {name: FORMS[name](TABLE)})
    path = str(tmp_path / name)
    text = read(Source(path=path, input="text", label="stars", id="id"), role="pool")
    assert text.inputs.to_pylist() == TABLE["text"].to_pylist()
    assert everything(text) == (
        from_arrays(TABLE["text"].to_pylist()).ids.tolist(),
        ["1", None, "5", "3", "2"],
        TABLE["id"].to_pylist(),
    )
    table = read(Source(path=path, id="id", ignore=("text",), label="good", missing="allow"), role="pool")
    assert table.inputs.column_names == ["stars", "price"]
    expected = from_arrays(TABLE.select(["price"]).append_column("stars", pa.array([1.0, 7.0, 5.0, 3.0, 2.0])))
    same = np.array([0, 2, 3, 4])
    assert table.ids[same].tolist() == expected.ids[same].tolist()
    assert everything(table)[1] == ["false", "true", "true", "false", None]


@pytest.mark.parametrize(
    "path",
    ["{}/part-*.csv", "{}", "{}/**/*.csv", ["{}/part-0.csv", "{}/part-1.csv"]],
    ids=["glob", "folder", "deep", "list"],
)
def test_shards_are_read_as_one_in_the_order_of_their_names(path, tmp_path):
    written(
        tmp_path,
        {
            "part-1.csv": as_csv(TABLE.slice(2)),
            "part-0.csv": as_csv(TABLE.slice(0, 2)),
            "notes.md": b"?",
            ".b.csv": b"?",
        },
    )
    words = [path] if isinstance(path, str) else path
    paths = tuple(word.format(tmp_path) for word in words)
    source = Source(path=paths if len(paths) > 1 else paths[0], input="text", label="stars", id="id")
    whole = written(tmp_path / "whole", {"a.csv": as_csv(TABLE)})
    expected = read(Source(path=str(whole / "a.csv"), input="text", label="stars", id="id"), role="pool")
    if "**" in paths[0] or paths[0] == str(tmp_path):
        (whole / "a.csv").unlink()
    found = read(source, role="pool")
    assert everything(found) == everything(expected)
    assert found.origin.startswith("pool (")


def test_shards_of_several_forms_and_types_agree_on_one(tmp_path):
    written(
        tmp_path,
        {
            "a.csv": b"n,w,y\n1,1,0\n2,2,1\n",
            "b.parquet": as_parquet(pa.table({"y": [1], "w": ["x"], "n": [0.5]})),
            "c.csv": b"w,n,y\n03,,0\n",
        },
    )
    found = read(Source(path=str(tmp_path), label="y", missing="allow"), role="pool")
    # A word in one file makes words of the numbers in the others, as they are spelled there.
    assert found.inputs.to_pydict() == {"n": [1.0, 2.0, 0.5, None], "w": ["1", "2", "x", "03"]}
    assert found.class_names == ("0", "1")


def test_an_error_names_the_shard_and_the_row_within_it(tmp_path):
    written(tmp_path, {"a.csv": b"t,k\nx,1\ny,2\n", "b.csv": b"t,k\nz,3\n,4\n"})
    with pytest.raises(InputError, match=r"column 't', row 1 \(counting from 0\) of b\.csv"):
        read(Source(path=str(tmp_path), kind="text", input="t"), role="pool")
    (tmp_path / "b.csv").write_bytes(b"t,k\nz,3\nv,1\n")
    with pytest.raises(InputError, match=r"'1' .* twice, in row 0 of a\.csv and row 1 \(counting from 0\) of b\.csv"):
        read(Source(path=str(tmp_path), input="t", id="k"), role="pool")


@pytest.mark.parametrize("form", [".csv", ".jsonl", ".parquet", ".arrow"])
def test_pieces_are_the_whole(form, tmp_path):
    make = FORMS[f"a{form}"]
    written(tmp_path, {f"a{form}": make(TABLE.slice(0, 3)), f"b{form}": make(TABLE.slice(3))})
    source = Source(path=str(tmp_path), input="text", label="stars", id="id")
    whole = read(source, role="pool")
    parts = list(pieces(source, role="pool", max_rows=2))
    assert all(len(part) <= 2 for part in parts)
    found = [everything(part) for part in parts]
    assert tuple([each for part in column for each in part] for column in zip(*found, strict=True)) == everything(whole)
    chosen = list(pieces(Source(path=str(tmp_path), input="text", where={"stars": 5}), role="pool", max_rows=2))
    assert [part.inputs.to_pylist() for part in chosen] == [["é"]]


def test_numbers_that_are_names_keep_their_spelling(tmp_path):
    written(
        tmp_path,
        {"a.csv": b"zip,n,y\n01234,1,0\n99,2,1\n", "a.jsonl": b'{"zip": 1234, "n": 1.0}\n{"zip": 99, "n": 2}\n'},
    )
    csv = read(Source(path=str(tmp_path / "a.csv"), label="y", categories=("zip",)), role="pool")
    assert csv.inputs.to_pydict() == {"zip": ["01234", "99"], "n": [1, 2]}
    lines = read(Source(path=str(tmp_path / "a.jsonl"), categories=("zip", "n")), role="pool")
    assert lines.inputs.to_pydict() == {"zip": ["1234", "99"], "n": ["1", "2"]}


def test_a_key_that_a_line_lacks_is_missing(tmp_path):
    path = str(written(tmp_path, {"a.jsonl": b'{"a": 1, "b": "x"}\n\n{"b": "y"}\n'}) / "a.jsonl")
    assert read(Source(path=path, missing="allow"), role="pool").inputs.to_pydict() == {"a": [1, None], "b": ["x", "y"]}


def test_texts_that_look_like_dates_stay_texts(tmp_path):
    path = str(written(tmp_path, {"a.jsonl": b'{"t": "2020-01-01", "y": "2021-01-01"}\n'}) / "a.jsonl")
    found = read(Source(path=path, kind="text", input="t", label="y"), role="pool")
    assert found.inputs.to_pylist() == ["2020-01-01"]
    assert found.class_names == ("2021-01-01",)


def test_dates_are_the_same_in_every_form(tmp_path):
    words = ["2020-01-31 12:30:00", None, "1969-12-31 23:59:59"]
    times = pa.array(words).cast(pa.timestamp("s"))
    # Half past twelve in coordinated time is half past one in Berlin.
    berlin = times.cast(pa.timestamp("ns")).cast(pa.timestamp("ns", "Europe/Berlin"))
    written(
        tmp_path,
        {
            "a.csv": b"at,n\n" + b"".join(b"%s,1\n" % (word or "").encode() for word in words),
            "b.jsonl": as_jsonl(pa.table({"at": words, "n": [1, 1, 1]})),
            "c.parquet": as_parquet(pa.table({"at": times, "n": [1, 1, 1]})),
            "d.arrow": as_arrow(pa.table({"at": berlin, "n": [1, 1, 1]})),
        },
    )
    found = [read(Source(path=str(path), missing="allow"), role="pool") for path in sorted(tmp_path.iterdir())]
    for each in found:
        assert each.inputs.schema.field("at").type == pa.timestamp("us")
        assert each.inputs["at"].cast(pa.int64()).to_pylist() == [1580473800 * 10**6, None, -(10**6)]
        assert each.ids.tolist() == found[0].ids.tolist()
    assert len(set(found[0].ids.tolist())) == 3
    numbers = from_arrays(pa.table({"at": [1580473800 * 10**6], "n": [1]}))
    assert numbers.ids[0] not in found[0].ids


def test_days_are_dates_and_times_of_day_seconds(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"day,clock\n2020-01-31,00:01:30\n2020-02-01,23:59:59\n")
    found = read(Source(path=str(tmp_path / "a.csv")), role="pool").inputs.to_pydict()
    assert [str(day) for day in found["day"]] == ["2020-01-31 00:00:00", "2020-02-01 00:00:00"]
    assert found["clock"] == [90.0, 86399.0]
    spans = pa.table({"d": pa.array([1500, None], pa.duration("ms"))})
    (tmp_path / "b.arrow").write_bytes(as_arrow(spans))
    assert read(Source(path=str(tmp_path / "b.arrow"), missing="allow"), role="pool").inputs["d"].to_pylist() == [
        1.5,
        None,
    ]


# --- a data set saved by Hugging Face


def data_set(folder, table, features=None, names=("data-00000-of-00002.arrow", "data-00001-of-00002.arrow")):
    folder.mkdir(parents=True, exist_ok=True)
    half = len(table) // 2
    for name, part in zip(names, (table.slice(0, half), table.slice(half)), strict=True):
        with pa.ipc.new_stream(str(folder / name), table.schema) as writer:
            writer.write_table(part)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features or {}}))
    return folder


def test_a_data_set_on_disk_has_its_own_class_names(tmp_path):
    features = {
        "label": {"names": ["neg", "pos"], "_type": "ClassLabel"},
        "text": {"dtype": "string", "_type": "Value"},
    }
    folder = data_set(tmp_path / "reviews", pa.table({"text": ["a", "b", "c"], "label": [1, -1, 0]}), features)
    found = read(Source(path=str(folder), input="text", label="label"), role="pool")
    assert found.origin == "pool (reviews)"
    assert found.class_names == ("neg", "pos")
    assert everything(found)[1] == ["pos", None, "neg"]
    assert found.inputs.to_pylist() == ["a", "b", "c"]


def test_a_data_set_of_images_holds_them_as_bytes(tmp_path):
    images = [{"bytes": encoded(each), "path": None} for each in PIXELS]
    folder = data_set(tmp_path / "photos", pa.table({"image": images, "label": [0, 1, 0]}))
    found = read(Source(path=str(folder), label="label"), role="pool")
    assert torch.equal(found.inputs, torch.from_numpy(PIXELS).permute(0, 3, 1, 2))


# --- arrays


PIXELS = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (PIXELS, "image"),
        (PIXELS[..., 0], "image"),
        (np.array([[0.5, 1.0], [2.0, 3.0], [4.0, 5.0]], np.float32), "table"),
        (np.array([[1, 2], [2, 3], [4, 5]], ">i4"), "table"),
        (np.array([[1, 2], [2, 3], [4, 5]], np.float16), "table"),
        (np.array(["a", "b", "cé"]), "text"),
    ],
)
def test_an_array_on_disk_is_the_array(array, kind, tmp_path):
    np.save(tmp_path / "x.npy", array)
    np.save(tmp_path / "y.npy", np.array([1, -1, 0]))
    found = read(Source(path=str(tmp_path / "x.npy"), label=str(tmp_path / "y.npy"), unlabelled=-1), role="pool")
    expected = from_arrays(array, [1, -1, 0])
    assert found.kind == kind
    assert everything(found) == everything(expected)
    np.savez(tmp_path / "x.npz", x=array, y=np.array([1, -1, 0]))
    for given in ({}, {"kind": kind}):
        archived = Source(path=str(tmp_path / "x.npz"), input="x", label="y", unlabelled=-1, **given)
        assert everything(read(archived, role="pool")) == everything(expected)
        assert (preview(archived, role="pool").kind, preview(archived, role="pool").num_rows) == (kind, 3)


def test_the_only_matrix_of_an_archive_is_its_input_and_bytes_are_numbers_where_the_source_says_so(tmp_path):
    numbers = np.array([[0, 1], [2, 3]], np.uint8)
    np.savez(tmp_path / "a.npz", numbers=numbers / 2, y=np.array([[0], [1]]))
    found = read(Source(path=str(tmp_path / "a.npz"), label="y"), role="pool")
    assert found.inputs.to_pydict() == {"f0": [0.0, 1.0], "f1": [0.5, 1.5]}
    np.savez(tmp_path / "b.npz", x=numbers, y=np.array([0, 1]))
    found = read(Source(path=str(tmp_path / "b.npz"), input="x", label="y", kind="table"), role="pool")
    assert found.inputs.to_pydict() == {"f0": [0, 2], "f1": [1, 3]}


def test_arrays_in_several_files_are_one(tmp_path):
    for number, part in enumerate(np.split(np.arange(60, dtype=np.uint8).reshape(6, 2, 5), 3)):
        np.save(tmp_path / f"x-{number}.npy", part)
        np.save(tmp_path / f"y-{number}.npy", np.array([number, 0]))
    found = read(Source(path=f"{tmp_path}/x-*.npy", label=f"{tmp_path}/y-*.npy"), role="pool")
    assert torch.equal(found.inputs, torch.arange(60, dtype=torch.uint8).reshape(6, 1, 2, 5))
    assert found.label.tolist() == [0, 0, 1, 0, 2, 0]
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 2, 5), np.uint8), y=[1, 0])
    np.savez(tmp_path / "b.npz", x=np.ones((1, 2, 5), np.uint8), y=[2])
    both = read(Source(path=f"{tmp_path}/*.npz", label="y", where={"y": 2}), role="pool")
    assert both.inputs.unique().tolist() == [1]


# --- images


def encoded(array, form="PNG", **options):
    file = io.BytesIO()
    (array if isinstance(array, Image.Image) else Image.fromarray(array)).save(file, form, **options)
    return file.getvalue()


def decoded(tmp_path, *images, **options):
    path = str(tmp_path / "a.parquet")
    pq.write_table(pa.table({"image": list(images)}), path)
    return read(Source(path=path, image=ImageOptions(**options)), role="pool").inputs


def test_a_folder_of_images_has_a_class_a_subfolder(tmp_path):
    forms = {"cat/b.png": encoded(PIXELS[0]), "cat/deep/a.PNG": encoded(PIXELS[1]), "dog/c.png": encoded(PIXELS[2])}
    written(tmp_path, {**forms, "dog/notes.txt": b"?"})
    found = read(Source(path=str(tmp_path), label="folder", id="file"), role="pool")
    assert torch.equal(found.inputs, torch.from_numpy(PIXELS).permute(0, 3, 1, 2))
    assert everything(found) == (
        from_arrays(PIXELS).ids.tolist(),
        ["cat", "cat", "dog"],
        ["cat/b.png", "cat/deep/a.PNG", "dog/c.png"],
    )
    # The pool has the same images and says nothing of their classes; a glob finds them as well.
    pool = read(Source(path=f"{tmp_path}/*/*.png"), role="pool")
    assert pool.label.tolist() == [-1, -1]
    cats = read(Source(path=str(tmp_path), where={"folder": "cat"}), role="pool")
    assert len(cats) == 2


@pytest.mark.parametrize("form", [".csv", ".jsonl", ".parquet"])
def test_a_table_names_the_images_of_a_flat_folder(form, tmp_path):
    written(tmp_path / "photos", {"x.png": encoded(PIXELS[0]), "y.png": encoded(PIXELS[1])})
    table = pa.table({"file": ["y.png", "x.png"], "class": ["dog", None]})
    written(tmp_path, {f"labels{form}": FORMS[f"a{form}"](table)})
    source = {"kind": "image", "input": "file", "label": "class", "folder": str(tmp_path / "photos")}
    found = read(Source(path=str(tmp_path / f"labels{form}"), **source), role="pool")
    assert torch.equal(found.inputs, torch.from_numpy(PIXELS[[1, 0]]).permute(0, 3, 1, 2))
    assert everything(found)[1] == ["dog", None]


def test_modes_become_grey_or_rgb(tmp_path):
    red = Image.new("RGB", (2, 2), (255, 0, 0))
    # 65535 is white, and 257 times a value of eight bits is that value.
    deep = Image.fromarray(np.arange(6, dtype=np.uint16).reshape(2, 3) * 51 * 257)
    assert decoded(tmp_path, encoded(deep)).flatten().tolist() == [0, 51, 102, 153, 204, 255]
    assert decoded(tmp_path, encoded(Image.new("1", (2, 1), 1))).tolist() == [[[[255, 255]]]]
    palette = red.convert("P", palette=Image.Palette.ADAPTIVE)
    for image in (palette, red.convert("RGBA"), red.convert("CMYK")):
        form = "TIFF" if image.mode == "CMYK" else "PNG"
        assert decoded(tmp_path, encoded(image, form))[0, :, 0, 0].tolist() == [255, 0, 0]
    clear = Image.new("RGBA", (1, 1), (255, 0, 0, 0))
    half = Image.new("LA", (1, 1), (0, 127))
    assert decoded(tmp_path, encoded(clear)).flatten().tolist() == [255, 255, 255]
    assert decoded(tmp_path, encoded(half)).flatten().tolist() == [128]
    seen = Image.new("P", (1, 1), 0)
    seen.putpalette([9, 8, 7])
    assert decoded(tmp_path, encoded(seen, transparency=0)).flatten().tolist() == [255, 255, 255]
    grey = Image.new("L", (2, 2), 100)
    both = decoded(tmp_path, encoded(red), encoded(grey), channels="grey")
    assert both.shape == (2, 1, 2, 2)
    # The weights of ITU-R 601-2: 0.299 of red.
    assert both[:, 0, 0, 0].tolist() == [76, 100]
    assert decoded(tmp_path, encoded(red), encoded(grey), channels="rgb")[1, :, 0, 0].tolist() == [100, 100, 100]


def test_an_image_is_turned_as_its_camera_noted(tmp_path):
    image = Image.fromarray(np.array([[10, 20, 30], [40, 50, 60]], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # The top of what is stored is on the right of what was seen.
    turned = decoded(tmp_path, encoded(image, exif=exif))
    assert turned[0, 0].tolist() == [[40, 10], [50, 20], [60, 30]]


def test_images_of_any_size_are_fitted_into_one(tmp_path):
    wide = np.zeros((4, 8), np.uint8)
    wide[:, :2], wide[:, 6:] = 50, 250
    cropped = decoded(tmp_path, encoded(wide), size=4)
    assert cropped[0, 0].tolist() == [[0, 0, 0, 0]] * 4
    padded = decoded(tmp_path, encoded(wide), size=8, fit="pad")
    assert padded[0, 0, :2].unique().tolist() == padded[0, 0, 6:].unique().tolist() == [0]
    assert padded[0, 0, 2:6].tolist() == wide.tolist()
    stretched = decoded(
        tmp_path, encoded(np.repeat([[0, 200]], 2, axis=0).astype(np.uint8)), size=(1, 1), fit="stretch"
    )
    assert stretched.tolist() == [[[[100]]]]
    # Half of the largest square is its middle: the two pixels of the value 9.
    middle = np.zeros((4, 4), np.uint8)
    middle[1:3, 1:3] = 9
    assert decoded(tmp_path, encoded(middle), size=2, crop_share=0.5).unique().tolist() == [9]
    # One that has the size already is left alone, to the bit.
    sizes = decoded(tmp_path, encoded(PIXELS[0]), encoded(np.zeros((9, 7, 3), np.uint8)), size=(5, 4))
    assert torch.equal(sizes[0], torch.from_numpy(PIXELS[0]).permute(2, 0, 1))
    tall = decoded(tmp_path, encoded(np.zeros((1000, 3), np.uint8)), size=2, fit="pad")
    assert tall.shape == (1, 1, 2, 2)


def test_a_student_asks_of_new_images_what_it_learned_from(tmp_path):
    from overproof.models import build, load_student

    options = ImageOptions(size=(4, 6), fit="pad", channels="grey")
    pq.write_table(pa.table({"image": [encoded(each) for each in PIXELS]}), tmp_path / "a.parquet")
    examples = read(Source(path=str(tmp_path / "a.parquet"), image=options), role="pool")
    assert examples.take(np.array([1])).image == concatenate([examples, examples]).image == options
    build("linear", [examples], class_names="ab", seed=0).save(tmp_path / "student")
    reading = load_student(tmp_path / "student").encoder.reading
    assert reading == options
    # Where no size was chosen, images of another size stay refused; their channels are the student's all the same.
    grey = from_arrays(PIXELS[..., 0])
    plain = build("linear", [grey], class_names="ab", seed=0).encoder
    assert plain.reading == ImageOptions(channels="grey")
    assert plain.config() == {"type": "image", "shape": [1, 5, 4]}


def test_an_unknown_option_of_an_image_is_told_the_nearest():
    files = {"all": {"path": "a", "label": "folder", "image": {"sise": 3}}}
    with pytest.raises(InputError, match=r"no option 'data\.files\.all\.image\.sise'; did you mean 'size'"):
        experiment_from({"data": {"files": files, "rows": {"labelled": 1, "test": 1}}})
    files["all"]["image"] = {"size": [4, 6]}
    made = experiment_from({"data": {"files": files, "rows": {"labelled": 1, "test": 1}}})
    assert made.data.files["all"].image.shape == (4, 6)
    assert experiment_from(yaml.safe_load(dump(made))) == made


def test_arrays_are_fitted_as_files_are(tmp_path):
    np.save(tmp_path / "x.npy", PIXELS)
    options = ImageOptions(size=(3, 2), channels="grey")
    found = read(Source(path=str(tmp_path / "x.npy"), image=options), role="pool")
    expected = decoded(tmp_path, *map(encoded, PIXELS), size=(3, 2), channels="grey")
    assert torch.equal(found.inputs, expected)
    assert found.inputs.shape == (3, 1, 3, 2)
