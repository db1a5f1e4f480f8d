"""What the one loop costs beside a bare hand-written one, and what WD and SLaM cost beside conventional distillation.

    python benchmarks/train_loop.py

Paired and interleaved: every round times each contender once, in turn; the figures are medians over rounds, and the
ratios are taken within rounds, so that a machine that slows down slows both sides. One thread.
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from overproof.methods.composition import Method
from overproof.methods.published import method
from overproof.models import Dense
from overproof.noise import TransitionLikelihood
from overproof.training.examples import LoopData, TrainingRows
from overproof.training.loop import train
from overproof.training.options import TrainOptions

ROUNDS = 7
NUM_LABELLED, NUM_POOL, NUM_CLASSES, BATCH = 1000, 16000, 10, 256


def small() -> nn.Module:
    """269k parameters, a step well under 10 ms."""
    return nn.Sequential(nn.Linear(784, 320), nn.ReLU(), nn.Linear(320, 50), nn.ReLU(), nn.Linear(50, NUM_CLASSES))


def large() -> nn.Module:
    """A step above 10 ms."""
    return nn.Sequential(
        nn.Linear(784, 2048), nn.ReLU(), nn.Linear(2048, 1024), nn.ReLU(), nn.Linear(1024, NUM_CLASSES)
    )


def rows(num: int, seed: int) -> TrainingRows:
    generator = torch.Generator().manual_seed(seed)
    return TrainingRows(
        inputs=Dense(values=torch.randn(num, 784, generator=generator)),
        place=torch.arange(num),
        label=torch.randint(NUM_CLASSES, (num,), generator=generator),
        teacher_probs=Dense(values=torch.randn(num, NUM_CLASSES, generator=generator).softmax(1)),
        teacher_accuracy=torch.full((num,), 0.8),
        num_candidates=torch.full((num,), 2),
        likelihood=TransitionLikelihood(transition=torch.eye(NUM_CLASSES)),
        class_share=torch.full((num,), 1 / NUM_CLASSES),
        draw_weight=torch.ones(num),
    )


def ours(make: Callable[[], nn.Module], chosen: Method, steps: int) -> float:
    student, everyone, held_out = make(), rows(NUM_LABELLED + NUM_POOL, 0), rows(300, 1)
    options = TrainOptions(epochs=3, batch_size=BATCH, learning_rate=1e-3)
    began = time.perf_counter()
    train(
        student,
        LoopData(
            rows=everyone,
            num_labelled=NUM_LABELLED,
            transition=torch.eye(NUM_CLASSES),
            held_out=held_out if chosen.needs_held_out else None,
        ),
        method=chosen,
        options=options,
        steps_per_epoch=steps // 3,
        seed=0,
    )
    return (time.perf_counter() - began) / (steps // 3 * 3)


def bare(make: Callable[[], nn.Module], steps: int) -> float:
    """What one would write by hand for this very job: the same batches' sizes, optimizer and schedule, hard labels."""
    student, everyone = make(), rows(NUM_LABELLED + NUM_POOL, 0)
    inputs = everyone.inputs.values
    target = everyone.teacher_probs.values.argmax(1)
    target[:NUM_LABELLED] = everyone.label[:NUM_LABELLED]
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    student.train()
    began, order = time.perf_counter(), torch.randperm(len(inputs))
    for step in range(steps):
        at = step * BATCH % (len(inputs) - BATCH)
        batch = order[at : at + BATCH]
        loss = F.cross_entropy(student(inputs[batch]), target[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return (time.perf_counter() - began) / steps


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    for name, make, steps in (("small", small, 186), ("large", large, 60)):
        contenders: dict[str, Callable[[], float]] = {"bare": lambda make=make, steps=steps: bare(make, steps)}
        for word in ("hard", "soft", "wd", "slam"):
            contenders[word] = lambda make=make, steps=steps, word=word: ours(make, method(word), steps)
        times: dict[str, list[float]] = {word: [] for word in contenders}
        for _ in range(ROUNDS):
            for word, run in contenders.items():
                times[word].append(run())
        print(f"\n{name} student, batch {BATCH}, median of {ROUNDS} rounds")
        print(f"{'':6} {'ms/step':>8} {'/ bare':>7} {'us over bare':>13} {'/ hard':>7}")
        for word, seconds in times.items():
            beside = statistics.median(a / b for a, b in zip(seconds, times["bare"], strict=True))
            over = statistics.median(a - b for a, b in zip(seconds, times["bare"], strict=True))
            conventional = statistics.median(a / b for a, b in zip(seconds, times["hard"], strict=True))
            print(
                f"{word:6} {1e3 * statistics.median(seconds):8.2f} {beside:7.3f} {1e6 * over:13.0f} {conventional:7.3f}"
            )


if __name__ == "__main__":
    main()
