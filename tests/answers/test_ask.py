"""Teacher answers and features are computed once, stored whole or not at all, and read back for their own rows."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from overproof.answers.ask import answer, embed, read
from overproof.answers.predictions import Answers, compress
from overproof.errors import InputError
from overproof.storage import checked
from overproof.storage.shard import StoreKey, decode_shard

CLASSES = ("cat", "cow", "dog")
KEY = StoreKey(teacher="net a", data="pool 1", transform="none", code="1")
N, ROWS = 10, 4


def content_ids(count: int, seed: int = 0) -> np.ndarray:
    return np.frombuffer(np.random.default_rng(seed).bytes(16 * count), "V16")


IDS = content_ids(N)


def random_probs(count: int, num_classes: int, scale: float = 2.0, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(count, num_classes, generator=generator, dtype=torch.float64) * scale).softmax(1)


class Teacher:
    """Answers from a table and remembers which rows it was asked about."""

    def __init__(self, table: Tensor, fail_at: int | None = None):
        self.table, self.fail_at, self.asked = table, fail_at, []

    def __call__(self, rows: slice) -> Tensor:
        if rows.start == self.fail_at:
            raise ConnectionError("no answer")
        self.asked.append((rows.start, rows.stop))
        return self.table[rows]


def keep(folder: Path, teacher: Teacher, **options) -> Answers:
    options = {"key": KEY, "class_names": CLASSES, "ids": IDS, "rows_per_shard": ROWS, **options}
    return answer(folder, ask=teacher, **options)


def same(a: Answers, b: Answers) -> bool:
    return a.num_classes == b.num_classes and all(
        torch.equal(getattr(a, name), getattr(b, name))
        for name in ("class_indices", "class_probs", "margin", "residual")
    )


def files_of(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.iterdir()) if path.is_file() and path.name != ".lock")
    return {path.name: path.read_bytes() for path in files}


TABLE = random_probs(N, 3)
WHOLE = compress(TABLE)


# The key ------------------------------------------------------------------------------------------------------------


def test_any_change_of_a_key_is_another_key():
    parts = {"teacher": "a", "data": "b", "transform": "c", "code": "d"}
    keys = [parts, {**parts, "teacher": "ab", "data": ""}, *({**parts, name: "x"} for name in parts)]
    assert len({StoreKey(**key).hex for key in keys}) == len(keys)
    assert StoreKey(**parts).hex == StoreKey(**parts).hex


# The store ----------------------------------------------------------------------------------------------------------


def test_every_shard_is_asked_once_and_a_second_call_asks_nothing(tmp_path: Path):
    teacher, told = Teacher(TABLE), []
    first = keep(tmp_path, teacher, progress=lambda done, total: told.append((done, total)))
    assert teacher.asked == [(0, 4), (4, 8), (8, 10)]
    assert told == [(4, 10), (8, 10), (10, 10)]
    second = keep(tmp_path, teacher)
    assert len(teacher.asked) == 3
    assert same(first, WHOLE)
    assert same(second, WHOLE)
    assert same(read(tmp_path), WHOLE)


def test_the_manifest_says_what_the_store_is(tmp_path: Path):
    keep(tmp_path, Teacher(TABLE))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["key"] == {"teacher": "net a", "data": "pool 1", "transform": "none", "code": "1"}
    assert (manifest["class_names"], manifest["num_classes"], manifest["num_rows"]) == (list(CLASSES), 3, 10)
    assert (manifest["rows_per_shard"], [shard["num_rows"] for shard in manifest["shards"]]) == (4, [4, 4, 2])
    widths = {"id": 16, "class_indices": 6, "class_probs": 6, "margin": 2, "residual": 2}
    assert manifest["bytes_per_row"] == widths
    assert [shard["file"] for shard in manifest["shards"]] == sorted(set(files_of(tmp_path)) - {"manifest.json"})


def test_a_failure_keeps_what_was_committed_and_the_same_bytes_come_in_the_end(tmp_path: Path):
    keep(tmp_path / "whole", Teacher(TABLE))
    with pytest.raises(ConnectionError):
        keep(tmp_path / "failed", Teacher(TABLE, fail_at=4))
    (tmp_path / "failed" / ".000001-x.parquet.abc.partial").write_bytes(b"half")
    again = Teacher(TABLE)
    keep(tmp_path / "failed", again)
    assert again.asked == [(4, 8), (8, 10)]
    assert files_of(tmp_path / "failed") == files_of(tmp_path / "whole")


CHILD = """
import os, signal, sys
import numpy as np, torch
from overproof.answers.ask import answer
from overproof.storage.shard import StoreKey
folder, moment = sys.argv[1:]
table, ids = np.load(folder + "/../table.npy"), np.load(folder + "/../ids.npy")
asked, replaced, replace = [], [], os.replace
def ask(rows):
    asked.append(rows)
    if moment == "asking" and len(asked) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return torch.from_numpy(table[rows])
def killed_before_rename(source, target):
    replaced.append(target)
    if moment == "writing" and len(replaced) == 3 or moment == "manifest" and len(replaced) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = killed_before_rename
key = StoreKey(teacher="net a", data="pool 1", transform="none", code="1")
answer(folder, ids, key, ("cat", "cow", "dog"), ask, rows_per_shard=4)
"""


@pytest.mark.parametrize(
    ("moment", "missing"), [("asking", [(4, 8), (8, 10)]), ("writing", [(8, 10)]), ("manifest", [])]
)
def test_kill_9_costs_the_current_shard_and_the_same_bytes_come_in_the_end(
    tmp_path: Path, moment: str, missing: list[tuple[int, int]]
):
    keep(tmp_path / "whole", Teacher(TABLE))
    (tmp_path / "killed").mkdir()
    np.save(tmp_path / "table.npy", TABLE.numpy())
    np.save(tmp_path / "ids.npy", IDS)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "killed"), moment], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert child.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "manifest.json").exists()
    assert bool(list((tmp_path / "killed").glob("*.partial"))) == (moment != "asking")
    again = Teacher(TABLE)
    assert same(keep(tmp_path / "killed", again), WHOLE)
    assert again.asked == missing
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")


def test_a_store_begun_keeps_its_own_rows_a_shard(tmp_path: Path):
    with pytest.raises(ConnectionError):
        keep(tmp_path, Teacher(TABLE, fail_at=8))
    again = Teacher(TABLE)
    assert same(keep(tmp_path, again, rows_per_shard=3), WHOLE)
    assert again.asked == [(8, 10)]


def test_two_at_once_ask_no_shard_twice(tmp_path: Path):
    teacher = Teacher(TABLE)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: keep(tmp_path, teacher, rows_per_shard=1), range(2))
    assert len(teacher.asked) == N
    assert same(first, second)


def test_duplicate_examples_keep_their_answers(tmp_path: Path):
    rows = np.array([0, 1, 2, 0, 4, 5, 6, 1, 8, 0])
    table, ids = TABLE[rows], IDS[rows]
    keep(tmp_path, Teacher(table), ids=ids)
    assert same(read(tmp_path, ids=ids), compress(table))
    reordered = np.array([9, 7, 3, 2])
    assert same(read(tmp_path, ids=ids[reordered], align=True), compress(table[reordered]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table[:, :2] / table[:, :2].sum(1, keepdim=True), r"rows 4 to 7 of pool .*\(4, 2\).*\(4, 3\)"),
        (lambda table: table[:-1], r"shape \(3, 3\)"),
        (lambda table: table * torch.tensor([[1.0], [1.0], [float("nan")], [1.0]]), "pool, row 6 .*nan"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_and_not_kept(
    tmp_path: Path, change: Callable[[Tensor], Tensor], words: str
):
    def ask(rows: slice) -> Tensor:
        return TABLE[rows] if rows.start == 0 else change(TABLE[rows])

    with pytest.raises(InputError, match=words):
        answer(tmp_path, IDS, KEY, CLASSES, ask, rows_per_shard=ROWS)
    assert [name[:7] for name in files_of(tmp_path)] == ["000000-"]


# Refusals -----------------------------------------------------------------------------------------------------------

EDITED = IDS.copy()
EDITED[[3, 8]] = content_ids(2, seed=1)
REVERSED = IDS[::-1]


def other_key(part: str) -> StoreKey:
    return StoreKey(**{"teacher": "net a", "data": "pool 1", "transform": "none", "code": "1", part: "another"})


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"key": other_key("teacher")}, "has teacher 'net a', but 'another' is needed"),
        ({"key": other_key("data")}, "has data 'pool 1', but 'another' is needed"),
        ({"key": other_key("transform")}, "has transform 'none', but 'another' is needed"),
        ({"key": other_key("code")}, "has code '1', but 'another' is needed"),
        ({"ids": REVERSED}, "same examples in another order .*part at row 0 .*align=True"),
        ({"ids": EDITED}, r"nothing for 2 of the 10 examples of pool.*row 3,"),
        ({"ids": IDS[:-1]}, r"holds 10 examples, of which pool has 9 .*align=True"),
        ({"ids": np.concatenate([IDS, content_ids(1, seed=2)])}, "nothing for 1 of the 11 .*row 10,"),
        ({"class_names": ("cow", "cat", "dog")}, "same names in another order .*class 0 is 'cat' there and 'cow' here"),
        ({"class_names": ("cat", "dog")}, "extra there: 'cow'"),
        ({"class_names": ("cat", "cow", "dog", "owl")}, "missing there: 'owl'"),
        ({"class_names": ("cat", "cow", "cow", "dog")}, "twice"),
    ],
)
def test_a_store_of_something_else_is_refused_by_name_in_reading_and_in_asking(tmp_path: Path, asked: dict, words: str):
    keep(tmp_path, Teacher(TABLE))
    before = files_of(tmp_path)
    with pytest.raises(InputError, match=words):
        read(tmp_path, **{"ids": IDS, "key": KEY, "class_names": CLASSES, **asked})
    teacher = Teacher(random_probs(11, len(asked.get("class_names", CLASSES))))
    with pytest.raises(InputError, match=words):
        keep(tmp_path, teacher, **asked)
    assert teacher.asked == []
    assert files_of(tmp_path) == before


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"key": other_key("teacher")}, "has teacher 'net a', but 'another' is needed"),
        ({"key": other_key("data")}, "has data 'pool 1', but 'another' is needed"),
        ({"ids": REVERSED}, "begun for other examples than those of pool"),
        ({"class_names": ("cow", "cat", "dog")}, "begun for other class names"),
    ],
)
def test_an_unfinished_store_of_something_else_is_refused_too(tmp_path: Path, asked: dict, words: str):
    with pytest.raises(ConnectionError):
        keep(tmp_path, Teacher(TABLE, fail_at=8))
    before, teacher = files_of(tmp_path), Teacher(TABLE)
    with pytest.raises(InputError, match=words):
        keep(tmp_path, teacher, **asked)
    assert teacher.asked == []
    assert files_of(tmp_path) == before


def test_long_keys_are_shown_from_where_they_part(tmp_path: Path):
    long = "x" * 500
    keep(tmp_path, Teacher(TABLE), key=StoreKey(teacher=long + "seed 1", data="", transform="", code=""))
    with pytest.raises(InputError, match=r"'…x{15}seed 1', but '…x{15}seed 2' is needed"):
        read(tmp_path, key=StoreKey(teacher=long + "seed 2", data="", transform="", code=""))


def test_examples_are_looked_up_by_id_when_that_is_asked_for(tmp_path: Path):
    keep(tmp_path, Teacher(TABLE))
    rows = np.array([9, 3, 3, 0])
    assert same(read(tmp_path, ids=IDS[rows], key=KEY, align=True), compress(TABLE[rows]))
    with pytest.raises(InputError, match=r"nothing for 2 of the 10"):
        read(tmp_path, ids=EDITED, align=True)


def test_an_unfinished_or_empty_store_says_so(tmp_path: Path):
    with pytest.raises(InputError, match=r"nothing stored in"):
        read(tmp_path / "nowhere")
    with pytest.raises(ConnectionError):
        keep(tmp_path, Teacher(TABLE, fail_at=8))
    with pytest.raises(InputError, match=r"unfinished: 2 of 3 shards are there; run"):
        read(tmp_path)


@pytest.mark.parametrize("asked", [{"ids": IDS[:0]}, {"rows_per_shard": 0}])
def test_an_empty_pool_and_empty_shards_are_refused(tmp_path: Path, asked: dict):
    with pytest.raises(InputError, match=r"at least"):
        keep(tmp_path, Teacher(TABLE), **asked)


def test_another_format_is_refused_by_version(tmp_path: Path):
    keep(tmp_path, Teacher(TABLE))
    path = tmp_path / "manifest.json"
    checked.write_json(path, {**checked.read_json(path, ("format",)), "format": 2})
    for attempt in (lambda: read(tmp_path), lambda: keep(tmp_path, Teacher(TABLE))):
        with pytest.raises(InputError, match=r"has format 2, and this overproof reads format 1"):
            attempt()


# Damage -------------------------------------------------------------------------------------------------------------


def damaged(data: bytes, rng: np.random.Generator, kind: int) -> bytes:
    place = int(rng.integers(len(data)))
    if kind == 0:
        return data[:place] + bytes([data[place] ^ (1 << int(rng.integers(8)))]) + data[place + 1 :]
    if kind == 1:
        return data[:place]
    return data[:place] + rng.bytes(int(rng.integers(1, 20))) + data[place:]


def test_no_damage_of_200_goes_silently_wrong_with_or_without_a_manifest(tmp_path: Path):
    keep(tmp_path, Teacher(TABLE))
    shard = sorted(tmp_path.glob("*.parquet"))[1]
    good, rng = shard.read_bytes(), np.random.default_rng(0)
    content = decode_shard(good, shard)
    harmless = 0
    for number in range(200):
        bad = damaged(good, rng, number % 3)
        shard.write_bytes(bad)
        with pytest.raises(InputError, match=rf"{shard.name} is damaged .*delete this file and run again"):
            read(tmp_path)
        # Without a manifest there is the shard alone to tell.
        with suppress(InputError):
            header, index, ids, block = decode_shard(bad, shard)
            harmless += 1
            assert (header, index, ids.tobytes()) == (content[0], content[1], content[2].tobytes())
            assert {name: part.tobytes() for name, part in block.items()} == {
                name: part.tobytes() for name, part in content[3].items()
            }
    assert harmless < 30


def test_no_damage_of_200_to_the_manifest_goes_silently_wrong(tmp_path: Path):
    keep(tmp_path, Teacher(TABLE))
    path = tmp_path / "manifest.json"
    good, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for number in range(200):
        path.write_bytes(damaged(good, rng, number % 3))
        try:
            assert same(read(tmp_path, ids=IDS, key=KEY, class_names=CLASSES), WHOLE)
        except InputError:
            refused += 1
    assert refused > 150


def test_any_parquet_reader_can_verify_the_pages_of_a_shard(tmp_path: Path):
    keep(tmp_path, Teacher(TABLE))
    shard = min(tmp_path.glob("*.parquet"))
    table, data = pq.read_table(shard, page_checksum_verification=True), bytearray(shard.read_bytes())
    assert table.schema.types == [pa.binary(width) for width in (16, 6, 6, 2, 2)]
    assert table["class_probs"][1].as_py() == WHOLE.class_probs[1].numpy().tobytes()
    data[data.index(IDS[:1].tobytes())] ^= 1
    shard.write_bytes(data)
    with pytest.raises(OSError, match="CRC checksum"):
        pq.read_table(shard, page_checksum_verification=True)


@pytest.mark.parametrize("with_manifest", [True, False])
def test_a_damaged_shard_deleted_as_told_is_the_only_one_asked_again(tmp_path: Path, with_manifest: bool):
    keep(tmp_path, Teacher(TABLE))
    before = files_of(tmp_path)
    shard = sorted(tmp_path.glob("*.parquet"))[1]
    shard.write_bytes(shard.read_bytes()[:-9])
    if not with_manifest:
        (tmp_path / "manifest.json").unlink()
    with pytest.raises(InputError, match=rf"{shard.name} is damaged .*delete this file and run again"):
        keep(tmp_path, Teacher(TABLE))
    shard.unlink()
    again = Teacher(TABLE)
    assert same(keep(tmp_path, again), WHOLE)
    assert again.asked == [(4, 8)]
    assert files_of(tmp_path) == before


def test_a_shard_that_is_missing_or_from_elsewhere_is_named(tmp_path: Path):
    keep(tmp_path / "a", Teacher(TABLE))
    keep(tmp_path / "b", Teacher(TABLE), key=other_key("data"))
    shards = [sorted((tmp_path / name).glob("*.parquet"))[0] for name in "ab"]
    shutil.copy(shards[1], shards[0])
    (tmp_path / "a" / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"has data 'another', but 'pool 1' is needed"):
        keep(tmp_path / "a", Teacher(TABLE))
    shards[1].unlink()
    with pytest.raises(InputError, match=rf"{shards[1].name} is missing"):
        read(tmp_path / "b")


def test_a_shard_in_the_place_of_another_is_named(tmp_path: Path):
    keep(tmp_path, Teacher(TABLE))
    first, second, _ = sorted(tmp_path.glob("*.parquet"))
    shutil.copy(first, second)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(InputError, match=rf"{second.name} belongs to another store: delete this file"):
        keep(tmp_path, Teacher(TABLE))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"cat"', '"dog"', "manifest.json is damaged .*class names .*delete this file and run again"),
        ('"num_rows": 10', '"num_rows": 11', "do not agree: delete the latter and run again"),
        ('"rows_per_shard": 4', '"rows_per_shard": 3', "manifest.json is damaged .*its shards"),
        ("{", "[", "manifest.json is damaged"),
    ],
)
def test_an_edited_manifest_is_refused_and_written_anew_without_asking(tmp_path: Path, old: str, new: str, words: str):
    keep(tmp_path, Teacher(TABLE))
    path, before = tmp_path / "manifest.json", files_of(tmp_path)
    text = json.dumps(checked.read_json(path, ("format",)))
    assert old in text
    # With a checksum that fits, as one who edits a file on purpose would write it.
    edited = text.replace(old, new, 1)
    path.write_text(edited) if new == "[" else checked.write_json(path, json.loads(edited))
    with pytest.raises(InputError, match=words):
        read(tmp_path)
    path.unlink()
    teacher = Teacher(TABLE)
    keep(tmp_path, teacher)
    assert teacher.asked == []
    assert files_of(tmp_path) == before


def test_a_repair_that_fails_leaves_the_store_unfinished(tmp_path: Path):
    keep(tmp_path, Teacher(TABLE))
    sorted(tmp_path.glob("*.parquet"))[1].unlink()
    with pytest.raises(ConnectionError):
        keep(tmp_path, Teacher(TABLE, fail_at=4))
    with pytest.raises(InputError, match="unfinished: 2 of 3"):
        read(tmp_path)


# Mapped -------------------------------------------------------------------------------------------------------------


def test_mapped_answers_are_the_same_and_come_from_the_cache(tmp_path: Path):
    assert same(keep(tmp_path, Teacher(TABLE), mmap=True), WHOLE)
    shard = min(tmp_path.glob("*.parquet"))
    shard.write_bytes(b"")
    mapped = read(tmp_path, ids=IDS, mmap=True)
    assert same(mapped, WHOLE)
    mapped.margin.zero_()
    assert same(read(tmp_path, mmap=True), WHOLE), "a mapped tensor must not write to the cache"
    with pytest.raises(InputError, match=r"damaged"):
        read(tmp_path)


def test_a_stale_cache_is_rebuilt(tmp_path: Path):
    keep(tmp_path, Teacher(TABLE), mmap=True)
    for path in tmp_path.glob("*.*"):
        path.unlink()
    other = random_probs(N, 3, seed=9)
    assert same(keep(tmp_path, Teacher(other), key=other_key("teacher"), mmap=True), compress(other))
    assert len(list((tmp_path / "cache").iterdir())) == 1


# Embeddings ---------------------------------------------------------------------------------------------------------

FEATURES = torch.randn(N, 5, generator=torch.Generator().manual_seed(0))


def test_features_come_back_bit_for_bit_and_are_computed_once(tmp_path: Path):
    with pytest.raises(ConnectionError):
        embed(tmp_path, IDS, KEY, Teacher(FEATURES, fail_at=4), rows_per_shard=4)
    again = Teacher(FEATURES)
    assert torch.equal(embed(tmp_path, IDS, KEY, again, rows_per_shard=4), FEATURES)
    assert torch.equal(embed(tmp_path, IDS, KEY, again, mmap=True), FEATURES)
    assert again.asked == [(4, 8), (8, 10)]
    with pytest.raises(InputError, match=r"another order"):
        embed(tmp_path, REVERSED, KEY, again)
    with pytest.raises(InputError, match=r"has teacher 'net a', but 'another' is needed"):
        embed(tmp_path, IDS, other_key("teacher"), again)


def test_features_that_do_not_fit_are_refused(tmp_path: Path):
    holes = FEATURES.clone()
    holes[6, 1] = float("nan")
    with pytest.raises(InputError, match=r"row 6 .*not finite"):
        embed(tmp_path / "a", IDS, KEY, Teacher(holes), rows_per_shard=4)
    with pytest.raises(InputError, match=r"float64.*must be torch.float32"):
        embed(tmp_path / "b", IDS, KEY, Teacher(FEATURES.double()))
    with pytest.raises(InputError, match=r"rows 4 to 7 of pool .*one size"):
        embed(tmp_path / "c", IDS, KEY, lambda rows: FEATURES[rows, : 5 - rows.start // 4], rows_per_shard=4)


def test_answers_and_features_do_not_pass_for_each_other(tmp_path: Path):
    keep(tmp_path / "answers", Teacher(TABLE))
    embed(tmp_path / "embeddings", IDS, KEY, Teacher(FEATURES))
    with pytest.raises(InputError, match=r"holds answers, not embeddings"):
        embed(tmp_path / "answers", IDS, KEY, Teacher(FEATURES))
    with pytest.raises(InputError, match=r"holds embeddings, not answers"):
        keep(tmp_path / "embeddings", Teacher(TABLE))
    with pytest.raises(InputError, match=r"holds embeddings, not answers"):
        read(tmp_path / "embeddings")
