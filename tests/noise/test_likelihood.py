"""P(answer | class, x): the truth is found where errors depend on the margin, and the matrix is kept where not."""

import pytest
import torch
import torch.nn.functional as F

from overproof.noise import ConditionalLikelihood, TransitionLikelihood, conditional_likelihood, transition_matrix


def world(num, seed, by_margin):
    """Labels, answers with a margin, and the true P(answer | class, margin); three classes.

    With `by_margin` the accuracy is .95 at margins above a half and .45 below, else .7 everywhere.
    """
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(3, (num,), generator=g)
    margin = torch.rand(num, generator=g)
    accuracy = torch.where(margin > 0.5, 0.95, 0.45) if by_margin else torch.full((num,), 0.7)
    right = torch.rand(num, generator=g) < accuracy
    # A wrong answer is the next class in four of five cases.
    shift = torch.where(torch.rand(num, generator=g) < 0.8, 1, 2)
    named = torch.where(right, label, (label + shift) % 3)
    rest = (1 - margin) / 3
    probs = rest.unsqueeze(1) + margin.unsqueeze(1) * F.one_hot(named, 3)
    wrong = torch.tensor([[0.0, 0.8, 0.2], [0.2, 0.0, 0.8], [0.8, 0.2, 0.0]])
    truth = torch.where(F.one_hot(named, 3).bool(), accuracy.unsqueeze(1), (1 - accuracy).unsqueeze(1) * wrong.T[named])
    return label, probs, truth


def test_errors_by_margin_are_found_and_the_error_falls_with_the_labels():
    """Mean absolute error of the likelihood on new answers, for 200, 1,000 and 5,000 labels."""
    _, probs, truth = world(4000, 99, by_margin=True)
    errors = []
    for num in (200, 1000, 5000):
        label, answers, _ = world(num, 0, by_margin=True)
        rule = conditional_likelihood(answers, label)
        assert isinstance(rule, ConditionalLikelihood)
        errors.append((rule(probs) - truth).abs().mean().item())
    matrix = TransitionLikelihood(transition=transition_matrix(label, answers))
    by_matrix = (matrix(probs) - truth).abs().mean().item()
    assert errors[0] < 0.8 * by_matrix
    assert errors[2] < errors[0]
    assert errors[2] < 0.6 * by_matrix


def test_the_matrix_is_kept_where_the_margin_shows_nothing():
    """One standard error: at most a few of eight worlds use the covariates."""
    used = 0
    for seed in range(8):
        label, probs, _ = world(300, seed, by_margin=False)
        rule = conditional_likelihood(probs, label)
        used += isinstance(rule, ConditionalLikelihood)
    assert used <= 2


@pytest.mark.parametrize("num_classes", [2, 5])
def test_the_answers_of_a_class_sum_to_one(num_classes):
    """Summed over all answers with the same margin and entropy."""
    g = torch.Generator().manual_seed(1)
    rule = ConditionalLikelihood(
        transition=torch.rand(num_classes, num_classes, generator=g).softmax(dim=1),
        by_answer=torch.randn(2, num_classes, generator=g),
        by_match=torch.randn(2, generator=g),
        mean=torch.tensor([0.4, 0.5]),
        scale=torch.tensor([0.2, 0.3]),
        penalty=1.0,
    )
    base = torch.tensor([0.7, *[0.3 / (num_classes - 1)] * (num_classes - 1)])
    answers = torch.stack([base.roll(shift) for shift in range(num_classes)])
    torch.testing.assert_close(rule(answers).sum(dim=0), torch.ones(num_classes))


def test_hard_labels_have_the_matrix():
    """Margin and entropy are constant: nothing can be conditioned on."""
    g = torch.Generator().manual_seed(0)
    label = torch.randint(4, (200,), generator=g)
    named = torch.where(torch.rand(200, generator=g) < 0.7, label, torch.randint(4, (200,), generator=g))
    rule = conditional_likelihood(F.one_hot(named, 4).float(), label)
    assert isinstance(rule, TransitionLikelihood)


def test_few_labels_have_the_matrix():
    """Nine examples choose nothing."""
    assert isinstance(conditional_likelihood(torch.full((9, 2), 0.5), torch.zeros(9).long()), TransitionLikelihood)
