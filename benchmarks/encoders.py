"""What frozen encoders cost by precision and by library, and how often a classifier's answer changes.

    python benchmarks/encoders.py --texts reviews.parquet --input Review --label Department
    python benchmarks/encoders.py --images cifar10.parquet

Texts through MiniLM: by the library's own `encode`, and by `minilm` in float32 and in bfloat16. Images through
EfficientNet-Lite0 at 224 x 224 by torch and by onnxruntime. Processor seconds of one thread, in turns, median ratio of
the rounds and its range; the largest difference of a feature; a logistic regression fitted on the features of 300
labelled examples of the slow way: how many of the other examples it gives another class with those of the fast way, and
how many examples get other features in another order and in seven calls.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from overproof.data import Examples, ImageOptions, Source, read
from overproof.models.frozen.images import efficientnet_lite0
from overproof.models.frozen.texts import _model, minilm, quiet

NUM_LABELLED, MAX_TOKENS = 300, 128
Embed = Callable[[Examples], Tensor]


def texts_of(examples: Examples) -> list[str]:
    """The texts themselves."""
    assert isinstance(examples.inputs, pa.Array)
    found: list[str] = examples.inputs.to_pylist()
    return found


def images_of(examples: Examples) -> Tensor:
    """The images themselves."""
    assert isinstance(examples.inputs, Tensor)
    return examples.inputs


def plain(examples: Examples) -> Tensor:
    """The library's own way: 32 texts at a time, sorted by characters, padded to the longest."""
    with quiet():
        vectors: Tensor = _model(MAX_TOKENS).encode(
            texts_of(examples), batch_size=32, convert_to_tensor=True, show_progress_bar=False
        )
    return vectors.clone()


def compared(ways: Mapping[str, Embed], examples: Examples, rounds: int) -> None:
    """Print a line for each way; ratios are to the first."""
    first = next(iter(ways))
    for embed in ways.values():
        embed(examples.take(np.arange(64)))
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    features: dict[str, Tensor] = {}
    for number in range(rounds):
        for name in list(ways)[:: 1 - 2 * (number % 2)]:
            before = time.process_time()
            features[name] = ways[name](examples)
            seconds[name].append(time.process_time() - before)
    head: Any = LogisticRegression(max_iter=2000, C=10)
    scale = features[first][:NUM_LABELLED].std()
    head.fit(features[first][:NUM_LABELLED] / scale, examples.label[:NUM_LABELLED])
    classes = {name: head.predict(each[NUM_LABELLED:] / scale) for name, each in features.items()}
    order = np.random.default_rng(0).permutation(len(examples))
    for name, embed in ways.items():
        ratios = [one / other for one, other in zip(seconds[first], seconds[name], strict=True)]
        parts = torch.cat([embed(examples.take(part)) for part in np.array_split(order, 7)])
        differ = int((parts != features[name][torch.from_numpy(order)]).any(dim=1).sum())
        right = (classes[name] == examples.label[NUM_LABELLED:].numpy()).mean()
        print(
            f"{name:24} {len(examples) / statistics.median(seconds[name]):7.1f} a second, "
            f"{statistics.median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f}), "
            f"off by {(features[name] - features[first]).abs().max().item():.1e}, "
            f"{(classes[name] != classes[first]).mean():.2%} other classes, {right:.1%} right, "
            f"{differ} of {len(examples)} differ in other company",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Texts, images or both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", help="a file with texts and labels")
    parser.add_argument("--input", default="text")
    parser.add_argument("--label", default="label")
    parser.add_argument("--images", help="a file with images and labels")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    words = parser.parse_args(arguments)
    torch.set_num_threads(1)

    def drawn(source: Source) -> Examples:
        every = read(source, role="labelled")
        return every.take(np.random.default_rng(0).permutation(len(every))[: words.rows])

    if words.texts:
        texts = drawn(Source(path=words.texts, input=words.input, label=words.label, missing="drop"))
        single, half = minilm(max_tokens=MAX_TOKENS), minilm(max_tokens=MAX_TOKENS, precision="bfloat16")
        ways: dict[str, Embed] = {
            "minilm float32": lambda some: single.embed(texts_of(some)),
            "minilm bfloat16": lambda some: half.embed(texts_of(some)),
            "sentence-transformers": plain,
        }
        compared(ways, texts, words.rounds)
    if words.images:
        options = ImageOptions(size=224)
        images = drawn(Source(path=words.images, input="image", label="label", image=options))
        slow, fast = efficientnet_lite0(backend="torch"), efficientnet_lite0(backend="onnxruntime")
        compared(
            {
                "efficientnet torch": lambda some: slow.embed_images(images_of(some)),
                "efficientnet onnxruntime": lambda some: fast.embed_images(images_of(some)),
            },
            images,
            words.rounds,
        )
    if not (words.texts or words.images):
        print("Name a file: --texts or --images.")


if __name__ == "__main__":
    main()
