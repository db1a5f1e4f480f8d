"""Injected label noise: exact counts, the law of every kind against long draws and by hand, and what is refused."""

import pytest
import torch

from overproof.errors import InputError
from overproof.synthetic import adversarial_noise, asymmetric_noise, hierarchical_noise, symmetric_noise

LABEL = torch.arange(4).repeat(25)  # 100 examples of 4 classes, 25 each
GROUPS = [[0, 2, 3]]
MAP = {0: 1, 3: 2}


def scores():
    return torch.randn(100, 4, generator=torch.Generator().manual_seed(5))


KINDS = {
    "symmetric": (lambda share, seed, exact: symmetric_noise(LABEL, 4, share, seed, exact=exact), 100),
    "asymmetric": (lambda share, seed, exact: asymmetric_noise(LABEL, 4, share, seed, class_map=MAP, exact=exact), 50),
    "hierarchical": (
        lambda share, seed, exact: hierarchical_noise(LABEL, 4, share, seed, groups=GROUPS, exact=exact),
        75,
    ),
    "adversarial": (lambda share, seed, exact: adversarial_noise(LABEL, scores(), share, seed, exact=exact), 100),
    "adversarial by class": (
        lambda share, seed, exact: adversarial_noise(LABEL, scores(), share, seed, confused="class", exact=exact),
        100,
    ),
}
each_kind = pytest.mark.parametrize(("make", "num_able"), KINDS.values(), ids=KINDS)


@each_kind
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.777, 1.0])
def test_exactly_that_many_labels_change(make, num_able, share):
    noisy = make(share, 0, True)
    assert noisy.changed.sum() == round(share * num_able)
    assert torch.equal(noisy.changed, noisy.label != LABEL)
    torch.testing.assert_close(noisy.transition.sum(1), torch.ones(4, dtype=torch.float64))


@each_kind
def test_the_seed_decides(make, num_able):
    one, same, other = make(0.5, 1, True), make(0.5, 1, True), make(0.5, 2, True)
    assert torch.equal(one.label, same.label)
    assert not torch.equal(one.label, other.label)


@each_kind
@pytest.mark.parametrize("exact", [True, False])
def test_the_transition_is_the_law_of_many_draws(make, num_able, exact):
    draws = 300
    counts = torch.zeros(4, 4, dtype=torch.float64)
    for seed in range(draws):
        counts.index_put_((LABEL, make(0.3, seed, exact).label), torch.ones(100, dtype=torch.float64), accumulate=True)
    expected = make(0.3, 0, exact).transition
    found = counts / (25 * draws)
    assert (found - expected).abs().max() < 4.5 * (0.25 / (25 * draws)) ** 0.5
    assert (found[expected == 0] == 0).all()
    assert (found[expected == 1] == 1).all()


@each_kind
def test_a_draw_for_each_example_changes_another_number_each_time(make, num_able):
    counts = torch.tensor([make(0.3, seed, False).changed.sum().item() for seed in range(100)]).double()
    assert abs(counts.mean() - 0.3 * num_able) < 5 * (0.21 * num_able / 100) ** 0.5
    assert 0.5 < counts.var() / (0.21 * num_able) < 1.7


def test_the_laws_by_hand():
    third = symmetric_noise(LABEL, 4, 0.3, 0).transition
    assert third[1].tolist() == pytest.approx([0.1, 0.7, 0.1, 0.1])
    quarter = symmetric_noise(LABEL, 4, 0.4, 0, include_true=True).transition
    assert quarter[1].tolist() == pytest.approx([0.1, 0.7, 0.1, 0.1])
    mapped = asymmetric_noise(LABEL, 4, 0.4, 0, class_map=MAP).transition
    assert mapped.flatten().tolist() == pytest.approx([0.6, 0.4, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0.4, 0.6])
    grouped = hierarchical_noise(LABEL, 4, 0.4, 0, groups=GROUPS).transition
    assert grouped.flatten().tolist() == pytest.approx(
        [0.6, 0, 0.2, 0.2, 0, 1, 0, 0, 0.2, 0, 0.6, 0.2, 0.2, 0, 0.2, 0.6]
    )


def test_an_exact_count_enters_the_law():
    # 22 of the 75 that can change are picked, not 22.5.
    assert hierarchical_noise(LABEL, 4, 0.3, 0, groups=GROUPS).transition[0, 0] == pytest.approx(53 / 75)
    assert hierarchical_noise(LABEL, 4, 0.3, 0, groups=GROUPS, exact=False).transition[0, 0] == pytest.approx(0.7)


def test_with_the_true_class_fewer_labels_change():
    counts = torch.tensor([symmetric_noise(LABEL, 4, 0.4, s, include_true=True).changed.sum() for s in range(300)])
    # Each of the 40 picked ones draws another class three times in four.
    assert abs(counts.double().mean() - 30) < 5 * (40 * 3 / 16 / 300) ** 0.5
    assert counts.max() <= 40


def test_the_adversary_takes_the_likeliest_wrong_class_of_each_example():
    label, given = torch.tensor([0, 0, 1]), torch.tensor([[0.1, 0.2, 0.7], [0.9, 0.08, 0.02], [0.3, 0.3, 0.4]])
    assert adversarial_noise(label, given, 1.0, 0).label.tolist() == [2, 1, 2]
    # Class 0's scores sum to 1.0, .28 and .72: all of it becomes class 2.
    assert adversarial_noise(label, given, 1.0, 0, confused="class").label.tolist() == [2, 2, 2]
    half = adversarial_noise(label, given, 1 / 3, 0).transition
    assert half.flatten().tolist() == pytest.approx([2 / 3, 1 / 6, 1 / 6, 0, 2 / 3, 1 / 3, 0, 0, 1])


def test_unknown_labels_stay_unknown_and_are_not_counted():
    label = torch.cat([LABEL, torch.full((60,), -1)])
    noisy = symmetric_noise(label, 4, 0.5, 0)
    assert (noisy.label[100:] == -1).all()
    assert noisy.changed.sum() == 50
    adversary = adversarial_noise(label, torch.cat([scores(), torch.ones(60, 4)]), 0.5, 0)
    assert (adversary.label[100:] == -1).all()
    assert adversary.changed.sum() == 50


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: symmetric_noise(LABEL, 4, 1.5, 0), r"share is 1.5; it must be in \[0, 1\]"),
        (lambda: symmetric_noise(LABEL, 4, float("nan"), 0), "share is nan"),
        (lambda: symmetric_noise(LABEL, 1, 0.5, 0), "num_classes is 1"),
        (lambda: symmetric_noise(LABEL, 3, 0.5, 0), "row 3: there is no class 3"),
        (lambda: symmetric_noise(torch.full((3,), -1), 4, 0.5, 0), "label leaves no example"),
        (lambda: asymmetric_noise(LABEL, 4, 0.5, 0, class_map={1: 1}), "class 1 to itself"),
        (lambda: asymmetric_noise(LABEL, 4, 0.5, 0, class_map={1: 9}), "names class 9"),
        (lambda: asymmetric_noise(LABEL, 4, 0.5, 0, class_map={}), "class_map leaves no example"),
        (lambda: asymmetric_noise(LABEL, 5, 0.5, 0, class_map={4: 0}), "class_map leaves no example"),
        (lambda: hierarchical_noise(LABEL, 4, 0.5, 0, groups=[[0, 1], [1, 2]]), "class 1 twice"),
        (lambda: hierarchical_noise(LABEL, 4, 0.5, 0, groups=[[0, -1]]), "names class -1"),
        (lambda: hierarchical_noise(LABEL, 4, 0.5, 0, groups=[[0], [1]]), "groups leaves no example"),
        (lambda: adversarial_noise(LABEL, scores()[:50], 0.5, 0), "50 rows for 100 labels"),
        (lambda: adversarial_noise(LABEL, scores().index_fill(0, torch.tensor(7), torch.nan), 0.5, 0), "row 7"),
    ],
)
def test_bad_input_is_one_sentence(call, words):
    with pytest.raises(InputError, match=words) as error:
        call()
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)
