"""What `overproof compare` costs beside the sum of its runs, and what training students together would win or lose.

    python benchmarks/compare.py            # all: about ten minutes on one core
    python benchmarks/compare.py shared     # 3 methods, 3 seeds, 2 label budgets on a part of the demo's reviews
    python benchmarks/compare.py together   # six students at a time: stacked weights, or one wide table of n-grams

Seconds are processor seconds of one thread, so that a busy machine does not count. `shared` starts the command as one
would at a terminal: a run for each budget, then one comparison of both, start of Python included. `together` times
steps of six students one after the other and all at once, interleaved, medians over rounds; both must give the same
weights.
"""

import copy
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from overproof.models.layers import Normalise, cnn, mlp
from overproof.models.ngram_bag import NgramBag
from overproof.training.optimizers import optimizer_of
from overproof.training.options import TrainOptions

BUDGETS, METHODS = (100, 300), ("wd", "slam", "fidelity")
SIZE = ("--set", "data.rows.pool=1000", "--set", "data.rows.test=400", "--set", "train.epochs=8")
"""A part of the demo, so that it takes minutes; `shared whole` takes all of it."""
NUM_STUDENTS, BATCH, ROUNDS = 6, 128, 5


# --- what the runs of a comparison share


def shared(folder: Path, size: tuple[str, ...]) -> None:
    """Print what both ways cost, and whether they wrote the same."""
    recipe = str(resources.files("overproof.commands") / "demo.yaml")
    methods = ("--set", f"methods=[{', '.join(METHODS)}]")
    alone = []
    for labels in BUDGETS:
        home, budget = ("--out", str(folder / f"labels-{labels}")), ("--set", f"data.rows.labelled={labels}")
        alone.append(_seconds("run", recipe, *home, *budget, *methods, *size))
    named = ("--labels", ",".join(map(str, BUDGETS)), "--methods", ",".join(METHODS))
    together = _seconds("compare", recipe, "--out", str(folder / "both"), *named, *size)
    print(f"\n{len(METHODS)} methods, 3 seeds, {' and '.join(map(str, BUDGETS))} labels, reviews, MiniLM -> n-grams")
    print(
        f"runs {' + '.join(f'{each:.0f}' for each in alone)} = {sum(alone):.0f} s, compare {together:.0f} s: ", end=""
    )
    print(f"{together / sum(alone):.2f} of the sum")
    for labels in BUDGETS:
        weights = sorted((folder / f"labels-{labels}").glob("students/*/*/student.safetensors"))
        others = [folder / "both" / path.relative_to(folder) for path in weights]
        same = sum(one.read_bytes() == other.read_bytes() for one, other in zip(weights, others, strict=True))
        print(f"{labels} labels: {same} of {len(weights)} students are the same byte for byte")


def _seconds(*words: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "overproof", *words, "--quiet"], check=True, env=environment, stdout=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# --- students trained together


@dataclass(frozen=True)
class Case:
    """One kind of student: how it is made, a batch for it, and steps a round."""

    make: Callable[[], nn.Module]
    batch: Callable[[torch.Generator], Tensor]
    num_classes: int
    steps: int
    optimizer: str = "adamw"
    wide: bool = False


def _ngrams() -> nn.Module:
    student = NgramBag(2**17, 6, dim=None, dropout=0.0)
    student.idf.fill_(1.0)
    nn.init.normal_(student.table, std=0.01)
    return student


def _texts(g: torch.Generator) -> Tensor:
    """Sets of 300 n-grams, rare ones among them, as a review has."""
    return 1 + (torch.rand(BATCH, 300, generator=g) ** 3 * (2**17 - 2)).long()


def _pixels(g: torch.Generator) -> Tensor:
    images = torch.randint(0, 256, (BATCH, 1, 28, 28), generator=g, dtype=torch.uint8)
    return images.contiguous(memory_format=torch.channels_last)


CASES = {
    "mlp 16-256-10 (tables)": Case(lambda: mlp((16,), 10), lambda g: torch.randn(BATCH, 16, generator=g), 10, 150),
    "mlp 784-256-10": Case(lambda: mlp((784,), 10), lambda g: torch.randn(BATCH, 784, generator=g), 10, 60),
    "mlp 784-2048-1024-10": Case(
        lambda: mlp((784,), 10, hidden=(2048, 1024)), lambda g: torch.randn(BATCH, 784, generator=g), 10, 8
    ),
    "cnn, 28x28": Case(
        lambda: nn.Sequential(Normalise(1), cnn((1, 28, 28), 10)).to(memory_format=torch.channels_last), _pixels, 10, 8
    ),
    "n-grams, stacked": Case(_ngrams, _texts, 6, 20, optimizer="sgd"),
    "n-grams, one wide table": Case(_ngrams, _texts, 6, 20, optimizer="sgd", wide=True),
}


class Stacked(nn.Module):
    """Students of one shape as one module: logits [S, B, K] by vmap over stacked weights."""

    def __init__(self, students: list[nn.Module]) -> None:
        super().__init__()
        weights, self.state = stack_module_state(students)
        self.names = list(weights)
        self.weights = nn.ParameterList([nn.Parameter(value.detach()) for value in weights.values()])
        # Not a submodule: its own weights are never used.
        self._shape = [copy.deepcopy(students[0]).to("meta")]

    def forward(self, inputs: Tensor) -> Tensor:
        """Every student's logits."""

        def one(weights: dict[str, Tensor], state: dict[str, Tensor]) -> Tensor:
            return functional_call(self._shape[0], (weights, state), (inputs,))

        weights = dict(zip(self.names, self.weights, strict=True))
        # The same noise for all: alone, each of them would draw what the seed and the step say.
        return vmap(one, randomness="same")(weights, self.state)

    def apart(self) -> list[dict[str, Tensor]]:
        """The weights of each student."""
        return [
            {name: value[number].detach() for name, value in zip(self.names, self.weights, strict=True)}
            for number in range(len(self.weights[0]))
        ]


class Wide(nn.Module):
    """Bags of n-grams as one bag with S K columns: each row of the table is gathered once for all students."""

    def __init__(self, students: list[nn.Module]) -> None:
        super().__init__()
        buckets, self.num_classes = students[0].table.shape
        self.bag = NgramBag(buckets, self.num_classes * len(students), dim=None, dropout=0.0)
        self.bag.idf.copy_(students[0].idf)
        with torch.no_grad():
            self.bag.table.copy_(torch.cat([each.table for each in students], dim=1))
            self.bag.bias.copy_(torch.cat([each.bias for each in students]))

    def forward(self, inputs: Tensor) -> Tensor:
        """Every student's logits."""
        return self.bag(inputs).unflatten(1, (-1, self.num_classes)).movedim(1, 0)

    def apart(self) -> list[dict[str, Tensor]]:
        """The weights of each student."""
        tables = self.bag.table.detach().split(self.num_classes, dim=1)
        biases = self.bag.bias.detach().split(self.num_classes)
        return [{"table": table, "bias": bias} for table, bias in zip(tables, biases, strict=True)]


def _optimizer(module: nn.Module, case: Case) -> torch.optim.Optimizer:
    # Without decay: what decays is told by the number of axes, and a stack has one more.
    options = TrainOptions(optimizer=case.optimizer, learning_rate=1e-3, weight_decay=0.0)
    return optimizer_of(module, options, torch.device("cpu"))


def _train(module: nn.Module, case: Case, batches: list[Tensor], targets: list[Tensor]) -> float:
    """Seconds of the steps; `targets` are [B], or [S, B] for students that are trained together."""
    optimizer = _optimizer(module, case)
    began = time.process_time()
    for inputs, target in zip(batches, targets, strict=True):
        for parameter in module.parameters():
            parameter.grad = None
        logits = module(inputs)
        # A sum over students of means over examples: the students do not see each other.
        loss = F.cross_entropy(logits.flatten(0, -2), target.flatten(), reduction="sum") / BATCH
        loss.backward()
        optimizer.step()
    return time.process_time() - began


def _both(case: Case, dtype: torch.dtype, steps: int, seed: int) -> tuple[float, float, float]:
    """Seconds apart and together, and the largest difference of any weight afterwards."""
    g = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        students = [case.make().to(dtype) for _ in range(NUM_STUDENTS)]
    batches = [case.batch(g) for _ in range(steps)]
    batches = [each.to(dtype) if each.is_floating_point() else each for each in batches]
    targets = [torch.randint(case.num_classes, (NUM_STUDENTS, BATCH), generator=g) for _ in range(steps)]
    together = (Wide if case.wide else Stacked)(copy.deepcopy(students)).to(dtype)
    apart = sum(
        _train(student.train(), case, batches, [each[number] for each in targets])
        for number, student in enumerate(students)
    )
    at_once = _train(together, case, batches, targets)
    difference = max(
        (value.detach() - ours[name]).abs().max().item()
        for student, ours in zip(students, together.apart(), strict=True)
        for name, value in student.named_parameters()
    )
    return apart, at_once, difference


def together() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(f"\n{NUM_STUDENTS} students, batch {BATCH}, one thread, median of {ROUNDS} rounds")
    print(f"{'student':26} {'apart ms/step':>13} {'together':>9} {'ratio':>6} {'float32':>9} {'float64':>9}")
    for name, case in CASES.items():
        exact = _both(case, torch.float64, 4, seed=0)[2] if not name.startswith("cnn") else _both_in_double(case)
        assert exact < 1e-9, f"{name}: trained together, weights differ by {exact:g}"
        rounds = [_both(case, torch.float32, case.steps, seed) for seed in range(ROUNDS)]
        apart, at_once = (1e3 * statistics.median(each[i] for each in rounds) / case.steps for i in (0, 1))
        ratio = statistics.median(each[1] / each[0] for each in rounds)
        print(
            f"{name:26} {apart:13.2f} {at_once:9.2f} {ratio:6.2f} {max(each[2] for each in rounds):9.1e} {exact:9.1e}",
            flush=True,
        )


def _both_in_double(case: Case) -> float:
    """As `_both` in double precision, for a student whose front makes single precision of bytes."""
    body = Case(lambda: cnn((1, 28, 28), 10), lambda g: torch.randn(BATCH, 1, 28, 28, generator=g), 10, 4)
    return _both(body, torch.float64, 4, seed=0)[2]


def main(words: list[str]) -> None:
    """All, or the one that is named."""
    if not words or "together" in words:
        together()
    folder = Path(tempfile.mkdtemp())
    try:
        if not words or "shared" in words:
            shared(folder, () if "whole" in words else SIZE)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
