"""What it costs that a text's frozen features follow from the text alone, and how many differ where they do not.

    python benchmarks/embedding.py FILE --input text    # such as IMDB's reviews as Parquet; four minutes on one core

A thousand texts whole, and the first sentence of a thousand others, through MiniLM: by the library's own `encode` (32
texts at a time, sorted by characters, padded to the longest) and by `minilm`, in turns, processor seconds of one
thread. Then the same sentences in another order and in seven calls: how many get other numbers each way.
"""

import argparse
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from overproof.data import Source, read
from overproof.models.embeddings import _model, minilm, quiet

NUM_TEXTS, MAX_TOKENS, ROUNDS = 1000, 128, 2
Embed = Callable[[Sequence[str]], Tensor]


def plain(texts: Sequence[str]) -> Tensor:
    """The library's way."""
    with quiet():
        vectors: Tensor = _model(MAX_TOKENS).encode(
            list(texts), batch_size=32, convert_to_tensor=True, show_progress_bar=False
        )
    return vectors.clone()


def seconds(embed: Embed, texts: Sequence[str]) -> float:
    """Processor seconds of one call."""
    before = time.process_time()
    embed(texts)
    return time.process_time() - before


def main() -> None:
    """Print a line for each round and each set of texts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--input", default="text")
    words = parser.parse_args()
    torch.set_num_threads(1)
    draw, fixed = np.random.default_rng(0), minilm(max_tokens=MAX_TOKENS).embed
    every = read(Source(path=str(words.file), input=words.input), role="texts").inputs.to_pylist()
    texts = [every[row] for row in draw.permutation(len(every))[: 2 * NUM_TEXTS]]
    sets = {
        "first sentences": [re.split(r"(?<=[.!?]) ", text)[0][:300] for text in texts[NUM_TEXTS:]],
        "whole texts": texts[:NUM_TEXTS],
    }
    plain(texts[:8]), fixed(texts[:8])
    for name, some in sets.items():
        for number in range(ROUNDS):
            both = (plain, fixed) if number % 2 else (fixed, plain)
            took = {embed: seconds(embed, some) for embed in both}
            ratio = took[fixed] / took[plain]
            print(f"{name}: {took[plain]:.1f} s plain, {took[fixed]:.1f} s fixed shapes, {ratio:.3f}", flush=True)
    some = sets["first sentences"]
    order = draw.permutation(len(some))
    for embed, name in ((plain, "plain"), (fixed, "fixed shapes")):
        parts = [embed([some[row] for row in part]) for part in np.array_split(order, 7)]
        differ = (torch.cat(parts) != embed(some)[torch.from_numpy(order)]).any(dim=1).sum()
        print(f"{name}: {differ} of {len(some)} differ in other company", flush=True)


if __name__ == "__main__":
    main()
