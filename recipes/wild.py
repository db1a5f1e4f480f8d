"""Students in the wild, one command: pool, teacher, the four cells {random, confident} x {with Q, without}, and KD.

    python recipes/wild.py fashion --cifar10 cifar10.parquet --out runs/wild/fashion   # about 20 minutes on two cores
    python recipes/wild.py animals --cifar10 cifar10.parquet --out runs/wild/animals   # about 15 minutes on two cores
    python recipes/wild.py cifar10 --cifar10 cifar10.parquet --out runs/wild/cifar10 [--extra imagenet32.npz]   # a GPU

The teacher is trained on nine tenths of `original.npz` (see `wild_pool.py`); its accuracy on the last tenth is what is
"published" of it, so that nothing is chosen on the test. Then `recipes/wild_SETUP.yaml` runs with no label anywhere but
in the test. `cifar10` follows the paper: ResNet-34 teaches ResNet-18, SGD with two steps down, the teacher asked anew
about every augmented image, about 20 million examples seen whatever the budget, budgets from 10,000 to the whole pool.
The same command again goes on where it was stopped. `--smoke` does a few steps of everything and proves nothing.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from wild_pool import SETUPS, build

import overproof
from overproof.data import Source, read, split
from overproof.evaluation.verdict import table
from overproof.models import ModelSpec, load_student
from overproof.models import build as build_student
from overproof.progress import OnTerminal
from overproof.runs.experiment import load
from overproof.storage import atomic
from overproof.training.one_student import train_on_labels
from overproof.training.options import TrainOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class Teacher:
    """Which network teaches, and how it is trained on the original data."""

    name: str
    options: dict[str, Any]
    train: TrainOptions


TEACHERS = {
    "fashion": Teacher(
        name="cnn", options={"width": 32}, train=TrainOptions(epochs=4, augmentation="crop_flip", padding=2)
    ),
    "animals": Teacher(
        name="cnn", options={"width": 32}, train=TrainOptions(epochs=12, augmentation="crop_flip", padding=4)
    ),
    "cifar10": Teacher(
        name="resnet34",
        options={},
        train=TrainOptions(
            epochs=200,
            batch_size=128,
            optimizer="sgd",
            learning_rate=0.1,
            weight_decay=5e-4,
            schedule="steps",
            warmup_share=0.0,
            augmentation="crop_flip",
        ),
    ),
}


def trained_teacher(setup: str, folder: Path, smoke: bool) -> float:
    """Train and save the teacher, or find it trained; its accuracy on the tenth of its data that it did not see."""
    options, home = TEACHERS[setup], folder / "teacher"
    if (home / "accuracy.json").exists():
        return float(json.loads((home / "accuracy.json").read_text())["accuracy"])
    whole = read(Source(path=str(folder / "original.npz"), label="label"), role="original")
    parts = split(whole, {"held_out": len(whole) // 10, "seen": len(whole) - len(whole) // 10}, seed=0)
    seen, held_out = parts["seen"], parts["held_out"]
    if smoke:
        seen = seen.take(torch.arange(512))
    spec = ModelSpec(name=options.name, options={"width": 8} if smoke else options.options)
    student = build_student(spec, [seen], class_names=whole.class_names, seed=0)
    home.mkdir(parents=True, exist_ok=True)
    train_on_labels(
        student,
        student.encode(seen),
        seen.label,
        options=options.train.model_copy(update={"epochs": 1}) if smoke else options.train,
        seed=0,
        checkpoint=home / "checkpoint.pt",
    )
    student.save(home)
    (home / "checkpoint.pt").unlink(missing_ok=True)
    probs = load_student(home).probs(held_out)
    accuracy = (probs.argmax(dim=1) == held_out.label).double().mean().item()
    atomic.write_json(home / "accuracy.json", {"accuracy": accuracy, "num_examples": len(held_out)})
    return accuracy


def main() -> None:
    """Build, train, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("setup", choices=SETUPS)
    parser.add_argument("--cifar10", type=Path, required=True, help="CIFAR-10 as one Parquet file")
    parser.add_argument("--out", type=Path, required=True, dest="folder")
    parser.add_argument("--extra", type=Path, nargs="*", default=[], help="more foreign images, .npz archives")
    parser.add_argument("--smoke", action="store_true", help="a few steps of everything")
    asked = parser.parse_args()
    build(asked.setup, asked.cifar10, asked.folder, asked.extra)
    accuracy = trained_teacher(asked.setup, asked.folder, asked.smoke)
    changes = [
        *(f"data.files.{role}.path={asked.folder / name}.npz" for role, name in
          (("pool", "wild"), ("original", "original"), ("test", "test"))),
        f"teacher.model={asked.folder / 'teacher'}",
        f"teacher.published_accuracy={accuracy:.4f}",
    ]  # fmt: skip
    if asked.smoke:
        changes += ["data.rows={labelled: 0, pool: 640, original: 320, test: 200}", "train.epochs=1", "seeds=[0]"]
        changes += ["student.options={width: 8}"]
    experiment = load(Path(__file__).parent / f"wild_{asked.setup}.yaml", changes)
    if asked.smoke:
        smaller = [each.model_copy(update={"options": _shrunk(each.options)}) for each in experiment.methods]
        experiment = experiment.model_copy(update={"methods": tuple(smaller)})
    console = Console()
    with OnTerminal(Console(stderr=True)) as progress:
        result = overproof.run(experiment, asked.folder / "run", progress=progress)
    console.print(table(result.summary))
    for finding in result.findings:
        console.print(f"\n{finding}")


def _shrunk(options: dict[str, Any]) -> dict[str, Any]:
    """The same options with a budget that a smoke test's pool can fill."""
    text = json.dumps(options)
    for budget in ("20000", "15000", "25000", "10000", "50000"):
        text = text.replace(f": {budget}", ": 160")
    shrunk: dict[str, Any] = json.loads(text)
    return shrunk


if __name__ == "__main__":
    main()
