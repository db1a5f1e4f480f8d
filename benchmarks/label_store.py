"""The store of answers: bytes and speed of writing, reading, verifying and block access, and damage that goes unseen.

    python benchmarks/label_store.py [--rows 400000] [--damaged 750]

Half a minute on one core. Expected: about 42 bytes a row for ten of ten classes and 52 for ten of a thousand; no
damaged shard of 750 silently wrong, with or without the manifest; millions of rows a second from memory and the map
in shuffled blocks, ten to a hundred times what Parquet gives.
"""

import argparse
import hashlib
import io
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from overproof.answers.ask import answer, embed, read
from overproof.answers.predictions import Answers, compress
from overproof.errors import InputError
from overproof.storage.shard import StoreKey, decode_shard

KEY = StoreKey(teacher="benchmark", data="random", transform="none", code="1")
COLUMNS = ("class_indices", "class_probs", "margin", "residual")
BLOCK = 256


def timed(work: Callable[[], object], repeats: int = 3) -> float:
    """The fastest of some runs, in seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.*"))


def teacher_probs(rows: int, num_classes: int, scale: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(rows, num_classes, generator=generator) * scale).softmax(1)


def size_and_speed(folder: Path, rows: int, num_classes: int, scale: float) -> None:
    # A thousand classes need a big table: the same 20 000 answers are given again and again.
    table = teacher_probs(20_000, num_classes, scale)
    ids = np.frombuffer(np.random.default_rng(0).bytes(16 * rows), "V16")
    names = tuple(str(index) for index in range(num_classes))

    def ask(part: slice) -> torch.Tensor:
        return table[torch.arange(part.start, part.stop) % len(table)]

    def write() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        answer(folder, ids, KEY, names, ask)

    def build() -> None:
        shutil.rmtree(folder / "cache", ignore_errors=True)
        read(folder, ids=ids, mmap=True)

    write_seconds = timed(write, 1)
    compress_seconds = timed(lambda: compress(table)) * rows / len(table)
    read_seconds = timed(lambda: read(folder, ids=ids, key=KEY))
    files = [path.read_bytes() for path in sorted(folder.glob("*.parquet"))]
    hash_seconds = timed(lambda: [hashlib.blake2b(data, digest_size=16).digest() for data in files])
    print(f"\n{num_classes} classes, {rows} rows, {len(files)} shards")
    print(f"  at rest             {bytes_of(folder) / rows:8.1f} bytes a row")
    print(f"  answer (all of it)  {rows / write_seconds / 1e6:8.2f} M rows/s   of which compress alone would make "
          f"{rows / compress_seconds / 1e6:.2f}")  # fmt: skip
    print(f"  read, verified      {rows / read_seconds / 1e6:8.2f} M rows/s")
    print(f"  blake2b of files    {hash_seconds / read_seconds:8.1%} of reading")
    print(f"  build the map       {rows / timed(build, 1) / 1e6:8.2f} M rows/s")
    blocks(read(folder), "memory")
    blocks(read(folder, mmap=True), "mapped")
    parquet_blocks(folder)


def blocks(answers: Answers, name: str) -> None:
    starts = torch.randperm(len(answers) // BLOCK, generator=torch.Generator().manual_seed(0)) * BLOCK
    rows = (starts[:, None] + torch.arange(BLOCK)).view(-1, BLOCK)

    def gather() -> None:
        for block in rows:
            answers.take(block)

    def gather_single_rows() -> None:
        for block in torch.randperm(rows.numel()).view(-1, BLOCK):
            answers.take(block)

    def dense() -> None:
        for block in rows[:200]:
            answers.probs(block)

    print(f"  {name}: shuffled blocks of {BLOCK}: {rows.numel() / timed(gather) / 1e6:.1f} M rows/s, single rows "
          f"{rows.numel() / timed(gather_single_rows) / 1e6:.1f}, opened to all classes "
          f"{min(200, len(rows)) * BLOCK / timed(dense) / 1e6:.2f}")  # fmt: skip


def parquet_blocks(folder: Path) -> None:
    files = sorted(folder.glob("*.parquet"))
    order = np.random.default_rng(0).integers(len(files), size=40)
    seconds = timed(lambda: [pq.read_table(files[index]).slice(7, BLOCK) for index in order])
    print(f"  parquet: shuffled blocks of {BLOCK}: {40 * BLOCK / seconds / 1e6:.2f} M rows/s")


def damage(folder: Path, number: int) -> None:
    """Flip, cut and fill bytes of a shard: each must be refused, or leave the answers as they are."""
    rows = 4096
    ids = np.frombuffer(np.random.default_rng(0).bytes(16 * rows), "V16")
    table = teacher_probs(rows, 10, 3.0)
    answer(folder, ids, KEY, tuple("abcdefghij"), lambda part: table[part])
    truth, shard = read(folder), next(folder.glob("*.parquet"))
    good, rng = shard.read_bytes(), np.random.default_rng(1)
    header, index, _, columns = decode_shard(good, shard)
    counts = {"with manifest": [0, 0], "without": [0, 0]}
    for trial in range(number):
        place = int(rng.integers(len(good)))
        bad = bytearray(good)
        if trial % 3 == 0:
            bad[place] ^= 1 << int(rng.integers(8))
        elif trial % 3 == 1:
            del bad[place:]
        else:
            # Mostly in the footer, where page checksums do not reach.
            place = int(rng.integers(len(good) - 2000, len(good)))
            bad[place : place + 4] = rng.bytes(4)
        shard.write_bytes(bytes(bad))
        with suppress(InputError):
            got = read(folder)
            whole = all(torch.equal(getattr(got, name), getattr(truth, name)) for name in COLUMNS)
            counts["with manifest"][0 if whole else 1] += 1
        with suppress(InputError):
            found, found_index, found_ids, found_columns = decode_shard(bytes(bad), shard)
            whole = (found, found_index, found_ids.tobytes()) == (header, index, ids.tobytes())
            whole = whole and all(np.array_equal(found_columns[name], columns[name]) for name in COLUMNS)
            counts["without"][0 if whole else 1] += 1
    print(f"\n{number} damaged shards")
    for name, (harmless, wrong) in counts.items():
        print(f"  {name:13} refused {number - harmless - wrong}, same answers {harmless}, silently wrong {wrong}")


def compression(rows: int = 4096) -> None:
    print("\ncompression of one shard, ten of ten classes")
    ids = np.frombuffer(np.random.default_rng(0).bytes(16 * rows), "V16")
    table = teacher_probs(rows, 10, 3.0)
    with tempfile.TemporaryDirectory() as folder:
        answer(folder, ids, KEY, tuple("abcdefghij"), lambda part: table[part])
        shard = pq.read_table(next(Path(folder).glob("*.parquet")))
    for codec, level in (("none", None), ("zstd", 1), ("zstd", 3), ("zstd", 9)):
        options = {"use_dictionary": False, "write_statistics": False, "store_schema": False}

        def write(sink: io.BytesIO, codec=codec, level=level, options=options) -> io.BytesIO:
            pq.write_table(shard, sink, compression=codec, compression_level=level, write_page_checksum=True, **options)
            return sink

        def read_back(sink: io.BytesIO) -> None:
            pq.read_table(sink, page_checksum_verification=True)

        sink = write(io.BytesIO())
        write_seconds = timed(lambda write=write: write(io.BytesIO()))
        read_seconds = timed(lambda sink=sink, read_back=read_back: read_back(sink))
        print(f"  {codec} {level or '':2}  {sink.tell() / rows:5.1f} bytes a row, "
              f"write {rows / write_seconds / 1e6:5.2f} M rows/s, read {rows / read_seconds / 1e6:5.2f}")  # fmt: skip


def features(folder: Path, rows: int = 20_000, dimension: int = 384) -> None:
    ids = np.frombuffer(np.random.default_rng(0).bytes(16 * rows), "V16")
    table = torch.randn(rows, dimension, generator=torch.Generator().manual_seed(0))
    write_seconds = timed(lambda: embed(folder, ids, KEY, lambda part: table[part]), 1)
    read_seconds = timed(lambda: embed(folder, ids, KEY, lambda part: table[part]))
    print(f"\nfeatures, {dimension} numbers a row ({4 * dimension + 16} bytes)")
    print(f"  at rest {bytes_of(folder) / rows:.0f} bytes a row, embed (all of it) {rows / write_seconds / 1e3:.0f} "
          f"k rows/s, read {rows / read_seconds / 1e3:.0f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--damaged", type=int, default=750)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size_and_speed(folder / "ten", options.rows, 10, 3.0)
        size_and_speed(folder / "thousand", options.rows // 4, 1000, 3.0)
        compression()
        features(folder / "features")
        damage(folder / "damaged", options.damaged)


if __name__ == "__main__":
    main()
