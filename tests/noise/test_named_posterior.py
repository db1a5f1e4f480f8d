"""What a named class says of the true one: Bayes' rule, no label for its own posterior, and the truth in the end."""

import pytest
import torch

from overproof.cross_fitting import folds
from overproof.errors import InputError
from overproof.functional import one_hot
from overproof.noise import log_loss, named_posterior, named_posterior_by_role, transition_matrix
from overproof.synthetic import corrupt

FLIPS = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.6, 0.4], [0.3, 0.0, 0.7]])


def world(num: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Uneven classes, and what a teacher with these flips names."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), num, replacement=True, generator=generator)
    return truth, torch.nn.functional.one_hot(corrupt(truth, FLIPS, seed + 1), 3).float()


def test_it_is_bayes_rule_on_the_shrunk_transition():
    truth, said = world(60)
    transition = transition_matrix(truth, said, 4.0).double()
    frequency = torch.bincount(truth).double() + 1
    for named in range(3):
        joint = torch.stack([transition[true, named] * frequency[true] for true in range(3)])
        torch.testing.assert_close(named_posterior(truth, said)[named], joint / joint.sum())


def test_the_truth_is_found_better_from_more_labels():
    joint = FLIPS.double() * torch.tensor([[0.5], [0.3], [0.2]])
    exact = (joint / joint.sum(dim=0)).T
    errors = [
        sum((named_posterior(*world(num, seed)) - exact).abs().max().item() for seed in range(5)) / 5
        for num in (50, 500, 50_000)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.01


def test_a_teacher_that_is_always_wrong_and_classes_nobody_names():
    truth = torch.tensor([0, 0, 1])
    said = torch.eye(3)[[1, 1, 0]]
    # Right none of three times: of class 2 nothing is known but how often each class is true, 3 : 2 : 1 with one more.
    assert named_posterior(truth, said)[2].tolist() == pytest.approx([3 / 6, 2 / 6, 1 / 6])
    assert named_posterior(truth, said).sum(dim=1).tolist() == pytest.approx([1, 1, 1])


def test_no_label_has_a_say_in_its_own_posterior():
    truth, said = world(200)
    label = {"labelled": truth[:120], "validation": truth[120:]}
    sets = {"labelled": said[:120], "validation": said[120:], "pool": said[:7]}
    found = named_posterior_by_role(sets, label, seed=3)
    fold, joined = folds(truth, 10, 3), torch.cat([found["labelled"], found["validation"]])
    for number in range(10):
        rest = fold != number
        table = named_posterior(truth[rest], said[rest])
        assert torch.equal(joined[~rest], table[said[~rest].argmax(dim=1)])
    assert torch.equal(found["pool"], named_posterior(truth, said)[said[:7].argmax(dim=1)])
    # Out of sample it is worth what it promises: better than the frequencies alone, and calibrated by construction.
    frequency = (torch.bincount(truth).double() / 200).expand(200, 3)
    assert log_loss(joined, truth).mean() < log_loss(frequency, truth).mean() - 0.2


def test_only_the_likeliest_class_counts():
    truth, said = world(100)
    soft = (0.7 * said + 0.1).float()
    assert torch.equal(named_posterior(truth, said), named_posterior(truth, soft))
    assert torch.equal(one_hot(soft), said)


def test_labels_that_are_none_are_refused():
    with pytest.raises(InputError, match="must be a class"):
        named_posterior(torch.tensor([0, 3]), torch.eye(3)[:2])
