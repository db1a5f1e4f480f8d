"""The adaptation matrix: exact identities, hand numbers, extremes, and learning on a world whose mistakes are known."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from overproof.claims import noisy_batch, started
from overproof.contract import Learning
from overproof.errors import InputError
from overproof.functional import (
    adaptation_nll,
    adaptation_nll_of_logs,
    log_adaptation_matrix,
    soft_cross_entropy,
    tempered_divergence,
)
from overproof.methods.losses import AdaptationMatrix
from overproof.papers import DFND_2021, SLAM_2023


def randomly(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_nll_is_the_definition():
    logits, transition = randomly(6, 5), randomly(5, 5, seed=1).softmax(1)
    pseudo_label = torch.tensor([0, 1, 2, 3, 4, 0])
    naive = -(logits.softmax(1) @ transition).gather(1, pseudo_label[:, None])[:, 0].log()
    torch.testing.assert_close(adaptation_nll(logits, pseudo_label, transition), naive)
    torch.testing.assert_close(adaptation_nll_of_logs(logits, pseudo_label, transition.log()), naive)


def test_a_number_by_hand():
    # f = (.75, .25); (f Q)_1 = .75 * .1 + .25 * .8 = .275
    logits = torch.tensor([[math.log(3), 0.0]])
    transition = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    assert adaptation_nll(logits, torch.tensor([1]), transition).item() == pytest.approx(-math.log(0.275), abs=1e-6)


def test_floor_is_the_papers():
    diagonal = torch.full((10,), 0.9523)
    transition = log_adaptation_matrix(diagonal, torch.zeros(10, 9)).exp()
    sure = 1e3 * F.one_hot(torch.arange(10), 10).float()
    assert adaptation_nll(sure, torch.arange(10), transition).tolist() == pytest.approx([0.0489] * 10, abs=5e-5)


def test_the_identity_is_cross_entropy_bit_for_bit():
    logits, pseudo_label = randomly(50, 7, scale=30).float(), torch.arange(50) % 7
    loss = adaptation_nll(logits, pseudo_label, torch.eye(7))
    plain = soft_cross_entropy(logits, F.one_hot(pseudo_label, 7).float())
    torch.testing.assert_close(loss, plain, rtol=0, atol=0)


@pytest.mark.parametrize("scale", [0.0, 10.0, 1e3, 1e6])
def test_a_thousand_classes_and_sure_students_stay_exact(scale):
    num_classes = 1000
    logits = randomly(32, num_classes, scale=scale).float().requires_grad_()
    scores = randomly(num_classes, num_classes - 1, seed=1).float().requires_grad_()
    log_transition = log_adaptation_matrix(torch.full((num_classes,), 0.9999), scores)
    torch.testing.assert_close(log_transition.exp().sum(1), torch.ones(num_classes))
    pseudo_label = torch.arange(32)
    loss = adaptation_nll_of_logs(logits, pseudo_label, log_transition)
    exact = (logits.detach().double().log_softmax(1) + log_transition.detach().double().T[pseudo_label]).logsumexp(1)
    torch.testing.assert_close(loss.double(), -exact, rtol=2e-6, atol=2e-6)
    loss.sum().backward()
    assert logits.grad.isfinite().all()
    assert scores.grad.isfinite().all()
    # No student, however sure and wrong, pays more than -log of the least entry.
    assert loss.max().item() <= -log_transition.min().item() + 1e-3


def test_impossible_entries_have_no_gradient_and_half_precision_is_raised():
    transition = torch.tensor([[1.0, 0.0], [0.5, 0.5]]).requires_grad_()
    adaptation_nll(torch.zeros(1, 2), torch.tensor([1]), transition).sum().backward()
    assert transition.grad.isfinite().all()
    half = torch.zeros(1, 2, dtype=torch.float16)
    assert adaptation_nll(half, torch.tensor([0]), torch.eye(2).half()).dtype == torch.float32


def test_nobody_is_ever_called_so():
    never = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert adaptation_nll(torch.zeros(1, 2), torch.tensor([1]), never).item() == math.inf


def test_scores_stand_beside_the_diagonal_in_order():
    scores = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]).log_softmax(1)
    matrix = log_adaptation_matrix(torch.zeros(3) + 0.5, scores).exp()
    low, high = 0.5 * scores.exp()[0]
    torch.testing.assert_close(matrix, torch.stack([
        torch.stack([torch.tensor(0.5), low, high]),
        torch.stack([low, torch.tensor(0.5), high]),
        torch.stack([low, high, torch.tensor(0.5)]),
    ]))  # fmt: skip


def test_two_classes_leave_nothing_to_learn():
    part = AdaptationMatrix(diagonal=(0.9, 0.6))
    memory = part.start(torch.eye(2))
    expected = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
    torch.testing.assert_close(part.learned(memory)["transition"], expected)


def test_the_diagonal_is_given_or_estimated_for_all_or_by_class():
    transition = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.0, 0.4, 0.6]])

    def diagonal(option):
        return AdaptationMatrix(diagonal=option).start(transition)["diagonal"].tolist()

    third = pytest.approx([(0.9 + 0.8 + 0.6) / 3] * 3)
    assert diagonal("estimated") == third
    assert diagonal("estimated_by_class") == pytest.approx([0.9, 0.8, 0.6])
    assert diagonal(0.75) == pytest.approx([0.75] * 3)
    assert diagonal((0.5, 0.6, 0.7)) == pytest.approx([0.5, 0.6, 0.7])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"diagonal": 0.0}, r"'diagonal' of AdaptationMatrix is 0\.0; it must be a number in \(0, 1\] or a list of"),
        ({"diagonal": 1.5}, r"'diagonal' of AdaptationMatrix is 1\.5; it must be a number in \(0, 1\] or a list of"),
        ({"diagonal": (0.9, -0.1)}, r"'diagonal' of AdaptationMatrix is \(0\.9, -0\.1\); it must be a number in"),
        ({"temperature": 0.0}, r"'temperature' of AdaptationMatrix is 0\.0; it must be a number above 0\."),
        (
            {"divergence": -1.0},
            r"'divergence' of AdaptationMatrix is -1\.0; it must be a finite number of at least 0\.",
        ),
    ],
)
def test_options_out_of_range_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        AdaptationMatrix(**options)


def test_a_diagonal_of_another_number_of_classes_is_refused():
    with pytest.raises(InputError, match="holds 3 numbers; one for each of 4 classes"):
        AdaptationMatrix(diagonal=(0.9, 0.9, 0.9)).start(torch.eye(4))


def test_the_loss_is_the_sum_of_its_two_terms_and_each_can_be_left_out():
    batch = noisy_batch()
    both = AdaptationMatrix(diagonal=0.9, divergence=0.5)
    alone = AdaptationMatrix(diagonal=0.9, divergence=0.0)
    divergence = tempered_divergence(batch.student_logits, batch.target_probs, 4.0)
    torch.testing.assert_close(both(started(both, batch)), alone(started(alone, batch)) + 0.5 * divergence)
    plain = AdaptationMatrix(diagonal=1.0, divergence=0.0)
    named = F.one_hot(batch.target_probs.argmax(1), 4).double()
    torch.testing.assert_close(plain(started(plain, batch)), soft_cross_entropy(batch.student_logits, named))


def test_mistakes_of_the_teacher_are_learned_where_the_student_knows_better():
    """A student that sees the truth: what is learned is then how often each class is called by which wrong name."""
    generator, num_classes = torch.Generator().manual_seed(0), 4
    wrong = torch.tensor([[0.0, 0.7, 0.2, 0.1], [0.1, 0.0, 0.1, 0.8], [0.3, 0.3, 0.0, 0.4], [0.9, 0.05, 0.05, 0.0]])
    truth = 0.8 * torch.eye(num_classes) + 0.2 * wrong
    label = torch.arange(8000) % num_classes
    named = torch.multinomial(truth[label], 1, generator=generator)[:, 0]
    world = noisy_batch(num_examples=8000)
    part = AdaptationMatrix(diagonal=0.8, divergence=0.0)
    target = F.one_hot(named, num_classes).double()
    logits = 50 * F.one_hot(label, num_classes).double()
    batch = started(part, replace(world, student_logits=logits, target_probs=target))
    assert isinstance(part, Learning)
    errors = []
    optimizer = torch.optim.Adam([batch.memory["scores"]], lr=0.05)
    for _ in range(150):
        errors.append((part.learned(batch.memory)["transition"] - truth).abs().max().item())
        optimizer.zero_grad()
        part(batch).mean().backward()
        optimizer.step()
    assert errors[0] > 0.1
    # Sampling error of a share of 400 wrong names a class, scaled by .2: under .02 at four standard deviations.
    assert errors[-1] < 0.02


def test_a_paper_without_a_preprint_is_cited_by_its_venue():
    assert "eprint" not in DFND_2021.bibtex()
    assert DFND_2021.bibtex().endswith("note = {CVPR 2021}\n}")
    assert DFND_2021.place == "CVPR 2021"
    assert "eprint = {2302.03806}" in SLAM_2023.bibtex()
    assert SLAM_2023.place == "arXiv 2302.03806"
