"""Batches, dropout and crops are drawn anew at every step and by every seed; a second training draws the same."""

import pytest
import torch
from torch import nn

from overproof.methods.published import method
from overproof.models import Dense
from overproof.noise import TransitionLikelihood
from overproof.seeds import derived_seed
from overproof.training.examples import LoopData, TrainingRows
from overproof.training.loop import train
from overproof.training.options import TrainOptions
from overproof.training.sampler import Shuffled

K, NUM_LABELLED, NUM_POOL, STEPS, EPOCHS = 3, 24, 48, 4, 3


class Recorder(nn.Module):
    """A linear student that keeps every batch it is trained on, and a dropout mask of the step."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, K)
        self.seen: list[torch.Tensor] = []
        self.masks: list[torch.Tensor] = []

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.seen.append(inputs.detach().clone())
            self.masks.append(nn.functional.dropout(torch.ones(40), 0.5))
        return self.layer(inputs.flatten(1).float() / 255)


def recorded(values: torch.Tensor, *, num_labelled: int = NUM_LABELLED, seed: int = 0, **options) -> Recorder:
    """The batches of a training, each example being its row of `values`."""
    num = len(values)
    rows = TrainingRows(
        inputs=Dense(values=values),
        place=torch.arange(num),
        label=torch.arange(num) % K,
        teacher_probs=Dense(values=torch.full((num, K), 1 / K)),
        teacher_accuracy=torch.full((num,), 0.8),
        num_candidates=torch.full((num,), 2),
        likelihood=TransitionLikelihood(transition=torch.eye(K)),
        class_share=torch.full((num,), 1 / K),
        draw_weight=torch.ones(num),
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        module = Recorder(values[0].numel())
    train(
        module,
        LoopData(rows=rows, num_labelled=num_labelled, transition=torch.eye(K)),
        method=method("soft"),
        options=TrainOptions(**{"learning_rate": 0.01, "epochs": EPOCHS, "batch_size": 12, **options}),
        steps_per_epoch=STEPS,
        seed=seed,
    )
    return module


def numbers(num: int) -> torch.Tensor:
    """Examples that are their own row number."""
    return torch.arange(num, dtype=torch.float32).unsqueeze(1)


def different(tensors: list[torch.Tensor]) -> int:
    return len({tuple(each.flatten().tolist()) for each in tensors})


def test_every_step_has_a_dropout_of_its_own_and_a_second_training_the_same_ones():
    first, again, other = (recorded(numbers(72), seed=seed).masks for seed in (0, 0, 1))
    assert len(first) == different(first) == STEPS * EPOCHS
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert different([*first, *other]) == 2 * STEPS * EPOCHS


def test_every_step_has_crops_of_its_own_and_a_second_training_the_same_ones():
    """One image in all rows: what differs between two batches is the crop alone."""
    image = torch.randint(256, (1, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    values = image.expand(72, -1, -1, -1).contiguous()
    options = {"augmentation": "crop_flip", "padding": 3}
    first, again, other = (recorded(values, seed=seed, **options).seen for seed in (0, 0, 1))
    assert len(first) == different(first) == STEPS * EPOCHS
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert different([*first, *other]) == 2 * STEPS * EPOCHS
    plain = recorded(values, augmentation="none").seen
    assert all(torch.equal(each, values[: len(each)]) for each in plain)


@pytest.mark.parametrize("num_labelled", [NUM_LABELLED, 72, 0], ids=["both", "labelled only", "pool only"])
def test_every_seed_has_batches_of_its_own(num_labelled):
    by_seed = [recorded(numbers(72), num_labelled=num_labelled, seed=seed).seen for seed in (0, 1, 2)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert all(not torch.equal(a, b) for a, b in zip(by_seed[one], by_seed[other], strict=True))
    again = recorded(numbers(72), num_labelled=num_labelled, seed=2).seen
    assert all(torch.equal(a, b) for a, b in zip(by_seed[2], again, strict=True))


def test_labelled_and_pool_rows_are_each_drawn_anew_by_every_seed():
    """Both streams by themselves, so that neither can stand still unnoticed."""
    for rows in (slice(0, 4), slice(4, 12)):
        parts = [[each[rows].flatten().tolist() for each in recorded(numbers(72), seed=seed).seen] for seed in (0, 1)]
        assert all(a != b for a, b in zip(*parts, strict=True))
        assert all(len({tuple(each) for each in part}) == STEPS * EPOCHS for part in parts)


def test_batches_are_those_of_the_two_streams_one_after_the_other():
    labelled, pool = Shuffled(NUM_LABELLED, derived_seed(5, "labelled")), Shuffled(NUM_POOL, derived_seed(5, "pool"))
    seen = recorded(numbers(72), seed=5).seen
    for step, each in enumerate(seen):
        rows = [*labelled.take(4 * step, 4).tolist(), *(pool.take(8 * step, 8) + NUM_LABELLED).tolist()]
        assert each.flatten().tolist() == rows
    # Six steps pass over either part once.
    passed = torch.cat(seen[:6]).flatten().sort().values.tolist()
    assert passed == list(range(72))
