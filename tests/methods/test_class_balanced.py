"""Class-balanced weights give every class the same total."""

from dataclasses import replace

import torch

from overproof.answers.predictions import compress
from overproof.claims import noisy_batch
from overproof.methods.noise_models import Noiseless
from overproof.methods.weights import ClassBalanced
from overproof.models import Dense
from overproof.training.examples import AnsweredExamples


def test_every_class_counts_the_same_in_all():
    """By given labels where there are some, by pseudo-labels in the pool."""
    label = torch.tensor([0] * 7 + [1] * 2 + [2])
    probs = torch.nn.functional.one_hot(torch.tensor([1] * 6 + [0] * 3 + [2]), 3).float()
    for given, named in ((label, label), (torch.full((10,), -1), probs.argmax(dim=1))):
        examples = AnsweredExamples(place=torch.arange(10), label=given, answers=compress(probs))
        estimate = Noiseless().fit(probs, label)
        rows = examples.rows(Dense(values=torch.zeros(10, 1)), estimate)
        batch = rows.batch(torch.arange(10), torch.zeros(10, 3), probs, estimate.transition)
        weight = ClassBalanced()(batch)
        totals = torch.zeros(3).index_add(0, named, weight)
        torch.testing.assert_close(totals, torch.full((3,), 10 / 3))
        assert torch.equal(ClassBalanced(strength=0.0)(batch), torch.ones(10))


def test_half_the_strength_is_the_root():
    """Weights of .9 and .1 shares: 1 / sqrt(1.8) and 1 / sqrt(.2)."""
    batch = replace(noisy_batch(2, 2), class_share=torch.tensor([0.9, 0.1]))
    torch.testing.assert_close(ClassBalanced(strength=0.5)(batch), torch.tensor([1.8, 0.2]).rsqrt())
