"""Names in files lead nowhere else, and an archive unpacks no more than is asked for and allowed."""

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import overproof
from overproof.commands.main import main
from overproof.data import Source, read
from overproof.data.feature_file import read_features
from overproof.data.readers import text_files
from overproof.data.readers.row_files import open_rows
from overproof.errors import InputError
from overproof.options import check_file_name
from overproof.runs.experiment import experiment_from
from overproof.training.options import TrainOptions


def picture(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(path)
    return path


@pytest.fixture
def table(tmp_path):
    """A table in a folder of its own, with one picture beside it and one outside."""
    picture(tmp_path / "set/images/a.png", 1)
    picture(tmp_path / "secret.png", 2)
    picture(tmp_path / "set-of-others/b.png", 3)

    def written(*names: object) -> Path:
        (tmp_path / "set/images.csv").write_text("file\n" + "".join(f"{name}\n" for name in names))
        return tmp_path / "set/images.csv"

    return written


def pixels(path: Path, **options) -> list[int]:
    return read(Source(path=str(path), kind="image", input="file", **options), role="pool").inputs[:, 0, 0, 0].tolist()


def test_images_below_the_folder_of_the_table_are_read(table):
    assert pixels(table("images/a.png", "./images/a.png", "images/../images/a.png")) == [1, 1, 1]


@pytest.mark.parametrize(
    "name", ["../secret.png", "images/../../secret.png", "../set-of-others/b.png", "{}/secret.png", "/etc/hostname"]
)
def test_an_image_elsewhere_is_refused(table, tmp_path, name):
    path = table("images/a.png", name.format(tmp_path))
    with pytest.raises(InputError, match=r"images\.csv.*is not below the folder .*`folder`") as refusal:
        pixels(path)
    assert "\n" not in str(refusal.value)
    # Nor below a folder that is named, if it lies outside of that too.
    with pytest.raises(InputError, match="not below the folder"):
        pixels(table("a.png", name.format(tmp_path)), folder=str(tmp_path / "set/images"))


def test_the_option_names_the_folder_that_holds_them(table, tmp_path):
    assert pixels(table("set/images/a.png", "secret.png"), folder=str(tmp_path)) == [1, 2]
    assert pixels(table(tmp_path / "secret.png"), folder=str(tmp_path)) == [2]


def test_a_link_out_of_the_folder_is_followed_only_where_the_folder_is_named(table, tmp_path):
    (tmp_path / "set/linked.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "set/others").symlink_to(tmp_path / "set-of-others")
    for name in ("linked.png", "others/b.png"):
        with pytest.raises(InputError, match="not below the folder"):
            pixels(table(name))
    assert pixels(table("linked.png", "others/b.png"), folder=str(tmp_path / "set")) == [2, 3]
    # A link within the folder, and a folder that is itself a link, are as good as any.
    (tmp_path / "set/again.png").symlink_to(tmp_path / "set/images/a.png")
    table("again.png")
    (tmp_path / "link").symlink_to(tmp_path / "set")
    assert pixels(tmp_path / "link/images.csv") == [1]


# --- archives

PICTURES = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)


def test_an_array_that_nobody_asked_for_is_not_unpacked(tmp_path):
    path, noise = tmp_path / "a.npz", np.random.default_rng(0).integers(0, 256, 10**5, dtype=np.uint8)
    np.savez_compressed(path, x=PICTURES, other=noise, y=np.arange(3), spoilt=np.array([None, {}], object))
    data = path.read_bytes()
    # Damage in the values of another array is not met.
    middle = data.index(b"other.npy") + 60_000
    path.write_bytes(data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :])
    with pytest.raises(zipfile.BadZipFile), np.load(path) as archive:
        archive["other"]
    found = read(Source(path=str(path), input="x", label="y"), role="labelled")
    assert found.inputs[:, 0].numpy().tolist() == PICTURES.tolist()
    with pytest.raises(InputError, match="pickled objects"):
        read(Source(path=str(path), input="x", label="spoilt"), role="labelled")
    with pytest.raises(InputError, match="damaged"):
        read(Source(path=str(path), input="x", label="other"), role="labelled")


def test_an_archive_unpacks_to_a_limit(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.zeros((40, 100, 100), np.uint8), y=np.zeros(40, int), z=np.zeros(10**6))
    source = {"path": str(path), "input": "x", "label": "y"}
    assert len(read(Source(**source, max_unpacked_gb=0.0005), role="labelled")) == 40
    with pytest.raises(InputError, match=r"unpacks to 0\.000400 GB|unpacks to 0\.0004 GB") as refusal:
        read(Source(**source, max_unpacked_gb=0.0003), role="labelled")
    assert "max_unpacked_gb" in str(refusal.value)
    # One that is not compressed is as large as its file.
    np.savez(path, x=np.zeros((40, 100, 100), np.uint8), y=np.zeros(40, int))
    assert len(read(Source(**source, max_unpacked_gb=0.0003), role="labelled")) == 40


def test_a_header_that_promises_more_than_there_is_is_damage(tmp_path):
    path = tmp_path / "a.npz"
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"shape": (10**6, 10**6), "fortran_order": False, "descr": "|u1"})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", member.getvalue() + bytes(100))
    with pytest.raises(InputError, match="damaged"):
        read(Source(path=str(path), input="x", max_unpacked_gb=1e9), role="pool")
    with pytest.raises(InputError, match="not a readable"):
        read_features(str(path))


@pytest.mark.parametrize(("name", "text"), [("a.csv.gz", "n\n"), ("a.jsonl.gz", '{"n": 1}\n'), ("a.csv.zst", "n\n")])
def test_a_compressed_text_unpacks_to_a_limit(tmp_path, name, text):
    data = (text + text.replace("n\n", "1\n") * 200_000).encode()
    if name.endswith(".gz"):
        (tmp_path / name).write_bytes(gzip.compress(data))
    else:
        import pyarrow as pa

        with pa.output_stream(str(tmp_path / name), compression="zstd") as stream:
            stream.write(data)
    options = {"path": str(tmp_path / name), "kind": "table"}
    with pytest.raises(InputError, match=r"unpacks to more than 0\.0001 GB; set `max_unpacked_gb`"):
        read(Source(**options, max_unpacked_gb=0.0001), role="pool")
    assert len(read(Source(**options), role="pool")) >= 200_000


@pytest.mark.parametrize("ending", [".feather", ".arrow"])
@pytest.mark.parametrize("compression", ["zstd", "lz4", None])
def test_an_arrow_file_unpacks_to_a_limit_and_each_batch_of_it_too(tmp_path, ending, compression):
    rows, path = pa.table({"x": np.zeros(100_000), "y": ["no"] * 100_000}), tmp_path / f"a{ending}"
    options = pa.ipc.IpcWriteOptions(compression=compression)
    writer = pa.ipc.new_file if ending == ".feather" else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as file, writer(file, rows.schema, options=options) as written:
        written.write_table(rows, 20_000)
    # 1.4 MB, .28 MB a batch.
    options = {"path": str(path), "label": "y"}
    source = Source(**options, max_unpacked_gb=0.0005)
    pieces = open_rows(path, source, "a").tables(["x"], 1000)
    assert len(next(pieces)) == 1000
    if compression is None:
        assert len(read(source, role="pool")) == 100_000
        return
    with pytest.raises(InputError, match=r"a unpacks to 0\.0014 GB, and 0\.0005 are allowed; set `max_unpacked_gb`"):
        list(open_rows(path, source, "a").tables(["x"]))
    with pytest.raises(InputError, match=r"^a batch of a unpacks to 0\.00028 GB, and 0\.0002 are allowed; set `max_u"):
        open_rows(path, Source(**options, max_unpacked_gb=0.0002), "a")
    with pytest.raises(InputError, match=r"unpacks to 0\.0014 GB"):
        read(source, role="pool")
    assert len(read(Source(**options), role="pool")) == 100_000


def test_a_refusal_of_the_size_is_the_whole_sentence(tmp_path):
    """It must not be taken for damage, which would cut it short."""
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((400, 300)), y=np.arange(400) % 2)
    with pytest.raises(InputError, match=r"^features \(a\.npz\) unpacks to .* --max-unpacked-gb\), or save the arrays"):
        read_features(str(tmp_path / "a.npz"), label=["y"], max_gb=0.0001)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_a_limit_is_above_zero(limit):
    with pytest.raises(InputError, match="must be above 0"):
        Source(path="a.csv", max_unpacked_gb=limit)


# --- names that become folders

UNSAFE = [
    "../../x",
    "a/b",
    "/x",
    "..",
    ".",
    ".x",
    "a\\b",
    "a:b",
    "a\nb",
    "a\0b",
    "a*",
    "-x",
    " x",
    "x ",
    "x.",
    "a" * 81,
    "\x1b[1m",
]


@pytest.mark.parametrize("name", UNSAFE)
def test_a_row_of_the_table_has_a_name_that_is_safe_for_files(name):
    content = {
        "data": {"files": {"all": {"path": "a.csv", "label": "y"}}, "rows": {"labelled": 9, "pool": 9, "test": 9}}
    }
    wanted = "becomes the name of a folder: at most 80 letters, digits, blanks|which holds the character"
    with pytest.raises(InputError, match=wanted) as refusal:
        experiment_from(content | {"methods": [{"method": "hard", "name": name}]})
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["x", "slam_round_1", "imitation_1.5", "wd (cap 2.5)", "wd@0.5", "é", "a-b+c=1,2%"])
def test_ordinary_names_are_allowed(name):
    assert check_file_name(name, "'methods.name'") is None


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_compressed_file_is_unpacked_in_pieces(tmp_path, monkeypatch, ending):
    """Whole, whatever the pieces; and never with one request for all that is allowed."""
    asked = []
    whole = text_files._at_most

    def noted(stream, num_bytes):
        class Noted:
            def read(self, size):
                asked.append(size)
                return stream.read(size)

        return whole(Noted(), num_bytes)

    monkeypatch.setattr(text_files, "_at_most", noted)
    monkeypatch.setattr(text_files, "PIECE_BYTES", 100)
    text = "x,y\n" + "".join(f"{row},a\n" for row in range(500))
    path = tmp_path / f"a.csv{ending}"
    if ending == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        with pa.output_stream(path, compression="zstd") as file:
            file.write(text.encode())
    assert text_files.file_bytes(path, "a.csv", 8.0) == text.encode()
    assert max(asked) == 100
    assert len(asked) > len(text) // 100


def test_a_parquet_file_that_unpacks_to_too_much_is_refused_by_its_metadata(tmp_path, capsys):
    """Two million zeros are a file of kilobytes, and 16 MB in memory."""
    pq.write_table(pa.table({"x": np.zeros(2_000_000), "z": np.arange(2_000_000) % 7}), tmp_path / "zeros.parquet")
    assert (tmp_path / "zeros.parquet").stat().st_size < 2_000_000
    path = str(tmp_path / "zeros.parquet")
    for columns, gigabytes in ((("x",), 0.016), (("z",), 0.016), ((), 0.032)):
        ignored = tuple({"x", "z"} - set(columns)) if columns else ()
        with pytest.raises(InputError, match=r"unpacks to 0\.0.*set `max_unpacked_gb` to more"):
            read(Source(path=path, ignore=ignored, max_unpacked_gb=gigabytes - 0.001), role="pool")
        assert len(read(Source(path=path, ignore=ignored, max_unpacked_gb=gigabytes), role="pool")) == 2_000_000
    with pytest.raises(SystemExit):
        main(["tune-xi", path, "--target", "z", "--features", "x", "--max-unpacked-gb", "0.01"])
    assert "in `predict` and `tune-xi`: --max-unpacked-gb" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["tune-xi", path, "--target", "z", "--max-unpacked-gb", "0"])
    assert "--max-unpacked-gb is 0; it must be above 0" in capsys.readouterr().err


def test_predict_sets_the_limit_of_a_compressed_file(tmp_path, capsys):
    inputs = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    label, probs = np.arange(40) % 2, np.full((40, 2), 0.5, np.float32)
    options = TrainOptions(epochs=1)
    overproof.distill(
        "linear", inputs, probs, inputs, label, probs, method="labelled_only", train=options
    ).student.save(tmp_path / "student")
    pq.write_table(pa.table({"f0": np.zeros(100_000), "f1": np.zeros(100_000)}), tmp_path / "new.parquet")
    with gzip.open(tmp_path / "new.jsonl.gz", "wt") as file:
        file.write(100_000 * '{"f0": 0.0, "f1": 0.0}\n')
    words = ["predict", str(tmp_path / "student"), str(tmp_path / "new.jsonl.gz"), "--out", str(tmp_path / "p.parquet")]
    with pytest.raises(SystemExit):
        main([*words, "--max-unpacked-gb", "0.001"])
    assert "unpacks to more than 0.001 GB; set `max_unpacked_gb` to more (in `predict`" in capsys.readouterr().err
    main([*words, "--max-unpacked-gb", "0.01"])
    assert pq.read_metadata(tmp_path / "p.parquet").num_rows == 100_000
