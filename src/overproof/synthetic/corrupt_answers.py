"""Adds known noise to teacher predictions: random flips, flips by class, or a bias towards some classes."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from overproof.errors import InputError
from overproof.functional import margin
from overproof.synthetic.corrupt_labels import check_classes


def random_flips(
    teacher_probs: Float[Tensor, "N K"], rate: float, seed: int, falling_in_margin: bool = True
) -> tuple[Float[Tensor, "N K"], Bool[Tensor, "N"]]:
    """Flip a random share of teacher predictions, independent of the inputs: the regime in which a student memorises.

    In a flipped row the probabilities of the most likely class and of one of the *other* K - 1 classes, drawn
    uniformly, are exchanged: the pseudo-label always changes, and the sorted probabilities, hence the margin, never do.
    A row is flipped with probability proportional to 1 - margin (at most 1), scaled so that the expected share is
    `rate`.

    Args:
        teacher_probs: [N, K], rows sum to one; K at least 2.
        rate: Expected share of flipped rows, in [0, 1].
        seed: Seed of the flips.
        falling_in_margin: If False, every row is flipped with probability `rate`.

    Returns:
        The noisy predictions, [N, K], and which rows were flipped, [N].

    Example:
        >>> flipped, mask = random_flips(torch.tensor([[0.75, 0.25]]), rate=1.0, seed=0)
        >>> flipped.tolist(), mask.tolist()
        ([[0.25, 0.75]], [True])

    Raises:
        InputError: A rate outside [0, 1], one class only, or a rate above the share of rows whose margin is below 1
            (rows of margin 1 cannot be flipped with probability proportional to 1 - margin).
    """
    check_classes(teacher_probs.shape[1])
    if not 0 <= rate <= 1:
        raise InputError(f"rate is {rate}; it must be in [0, 1].")
    generator = torch.Generator().manual_seed(seed)
    num_examples, num_classes = teacher_probs.shape
    chance = torch.full((num_examples,), rate, dtype=torch.float64)
    if falling_in_margin:
        chance = _scaled_to(1 - margin(teacher_probs).double().cpu(), rate)
    flipped = torch.rand(num_examples, generator=generator, dtype=torch.float64) < chance
    step = torch.randint(1, num_classes, (num_examples,), generator=generator)
    flipped, step = flipped.to(teacher_probs.device), step.to(teacher_probs.device)

    top = teacher_probs.argmax(dim=1)
    other = torch.where(flipped, (top + step) % num_classes, top)
    pair = torch.stack([top, other], dim=1)
    return teacher_probs.scatter(1, pair, teacher_probs.gather(1, pair.flip(1))), flipped


def class_conditional_flips(
    teacher_probs: Float[Tensor, "N K"], share: float, seed: int, class_map: Mapping[int, int]
) -> tuple[Float[Tensor, "N K"], Bool[Tensor, "N"]]:
    """Flip a share of the predictions of each class to another class, given by a map, independent of the margin.

    In a flipped row the probabilities of the most likely class and of the class it is mapped to are exchanged, so that
    the margin does not change. Each row whose most likely class is in the map is flipped independently with probability
    `share`: the teacher's transition matrix is multiplied from the right by the one with 1 - share on the diagonal and
    share at (class, mapped class).

    Args:
        teacher_probs: [N, K], rows sum to one; K at least 2.
        share: Probability of a flip for classes in the map, in [0, 1].
        seed: Seed of the flips.
        class_map: From a class to a different class.

    Returns:
        The noisy predictions, [N, K], and which rows were flipped, [N].

    Example:
        >>> answers = torch.tensor([[0.75, 0.25], [0.25, 0.75]])
        >>> class_conditional_flips(answers, share=1.0, seed=0, class_map={0: 1})[0].tolist()
        [[0.25, 0.75], [0.25, 0.75]]

    Raises:
        InputError: A share outside [0, 1], one class only, or a map that names no class or maps one to itself.

    Source: Patrini et al. (2017), arXiv 1609.03683, section 5, for given labels; a map from every class to the next is
        the pair flip of Han et al. (2018), arXiv 1804.06872.
    """
    num_examples, num_classes = teacher_probs.shape
    check_classes(num_classes)
    if not 0 <= share <= 1:
        raise InputError(f"share is {share}; it must be in [0, 1].")
    taken_for = torch.arange(num_classes)
    for mistaken, other in class_map.items():
        if not (0 <= mistaken < num_classes and 0 <= other < num_classes) or mistaken == other:
            raise InputError(
                f"class_map sends {mistaken} to {other}; with {num_classes} classes it must name two different ones in "
                f"0..{num_classes - 1}."
            )
        taken_for[mistaken] = other
    drawn = torch.rand(num_examples, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) < share
    top = teacher_probs.argmax(dim=1)
    named = torch.where(drawn.to(top.device), taken_for.to(top.device)[top], top)
    pair = torch.stack([top, named], dim=1)
    return teacher_probs.scatter(1, pair, teacher_probs.gather(1, pair.flip(1))), named != top


def favouring(
    teacher_probs: Float[Tensor, "N K"], classes: Sequence[int], log_odds: float
) -> tuple[Float[Tensor, "N K"], Bool[Tensor, "N"]]:
    """Bias a teacher towards some classes: their odds against all others are multiplied by exp(log_odds).

    The new probabilities are proportional to p exp(log_odds) on the favoured classes and to p elsewhere. Nothing is
    random: the errors depend on the inputs, like those of a language model that prefers some of its options.

    Args:
        teacher_probs: [N, K], rows sum to one; K at least 2.
        classes: The favoured ones, some but not all.
        log_odds: Natural logarithm of the factor, 0 or more.

    Returns:
        The biased predictions, [N, K], and in which rows the most likely class has changed, [N].

    Example:
        Odds of 1 : 3 become 3 : 3 with a factor of three, and 9 : 3 with nine.

        >>> answers = torch.tensor([[0.25, 0.75]], dtype=torch.float64)
        >>> favouring(answers, [0], log_odds=2.1972245773362196)[0].numpy().round(3).tolist()
        [[0.75, 0.25]]

    Raises:
        InputError: One class only, no favoured class, all of them, one that does not exist, a negative or infinite
            `log_odds`, or predictions that are all certain, which a finite `log_odds` cannot change.
    """
    num_classes = teacher_probs.shape[1]
    check_classes(num_classes)
    named = sorted(set(classes))
    if not 0 < len(named) < num_classes or named[0] < 0 or named[-1] >= num_classes:
        raise InputError(
            f"classes are {list(classes)}; they must be some, but not all, of the {num_classes} classes "
            f"0..{num_classes - 1}."
        )
    if not 0 <= log_odds < float("inf"):
        raise InputError(f"log_odds is {log_odds}; it must be a number, 0 or more.")
    if log_odds and len(teacher_probs) and bool((margin(teacher_probs) == 1).all()):
        raise InputError(
            "All predictions are certain (0 or 1), so log_odds cannot change them; use the teacher's probabilities."
        )
    factor = torch.zeros(num_classes, dtype=torch.float64, device=teacher_probs.device)
    factor[named] = log_odds
    # Divided by the largest factor instead of multiplied, so that large odds cannot overflow.
    raised = teacher_probs.double() * (factor - log_odds).exp()
    total = raised.sum(dim=1, keepdim=True)
    biased = torch.where(total > 0, raised / total.clamp(min=torch.finfo(torch.float64).tiny), teacher_probs.double())
    biased = biased.to(teacher_probs.dtype)
    return biased, biased.argmax(dim=1) != teacher_probs.argmax(dim=1)


def _scaled_to(doubt: Tensor, rate: float) -> Tensor:
    """min(1, c doubt) with mean `rate`."""
    if rate > (doubt > 0).double().mean().item():
        raise InputError(
            f"rate is {rate} but only {(doubt > 0).double().mean().item():.3g} of the predictions have a margin below "
            "1; use a lower rate or set falling_in_margin=False."
        )
    if rate == 0:
        return torch.zeros_like(doubt)
    # The mean is piecewise linear in c: with the j largest entries saturated at 1, the others give the rest.
    ranked = doubt.sort(descending=True).values
    saturated = torch.arange(len(doubt), dtype=doubt.dtype)
    left = ranked.flip(0).cumsum(0).flip(0)
    scale = (rate * len(doubt) - saturated) / left.clamp(min=torch.finfo(doubt.dtype).tiny)
    fits = (scale * ranked <= 1 + 1e-9) & (ranked > 0)
    first = int(fits.long().argmax())
    return (scale[first] * doubt).clamp(max=1)
