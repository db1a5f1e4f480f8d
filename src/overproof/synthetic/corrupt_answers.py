"""A teacher's answers spoilt by a known law: at random, by class, or towards favoured classes."""

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
    """Spoil a share of a teacher's answers so that nothing in them tells: the regime in which a student memorises.

    In a flipped row the probabilities of the likeliest class and of one of the *other* K - 1 classes, drawn evenly,
    change places: the pseudo-label always changes, and the sorted probabilities, hence the margin, never do. A row is
    flipped with probability proportional to 1 - margin (at most 1), scaled so that the expected share is `rate`.

    Args:
        teacher_probs: [N, K], rows sum to one; K at least 2.
        rate: Expected share of flipped rows, in [0, 1].
        seed: Draws the flips.
        falling_in_margin: If not, every row is flipped with probability `rate`.

    Returns:
        The spoilt answers, [N, K], and which rows were flipped, [N].

    Example:
        >>> flipped, mask = random_flips(torch.tensor([[0.75, 0.25]]), rate=1.0, seed=0)
        >>> flipped.tolist(), mask.tolist()
        ([[0.25, 0.75]], [True])

    Raises:
        InputError: A rate outside [0, 1], one class only, or a rate above the share of rows whose margin is below 1
            (answers that are all certain cannot be flipped where the teacher is in doubt).
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
    """Spoil a share of the answers of a class, whatever the margin: it is taken for the class that a map says.

    In a flipped row the probabilities of the likeliest class and of the one it is taken for change places, so that the
    margin never tells. Each row whose likeliest class is in the map is flipped with probability `share` by itself: the
    teacher's transition matrix is multiplied from the right by the one with 1 - share on the diagonal and share at
    (mistaken, taken for).

    Args:
        teacher_probs: [N, K], rows sum to one; K at least 2.
        share: Chance of a flip where the class is in the map, in [0, 1].
        seed: Draws the flips.
        class_map: From a class to the one it is taken for, another one.

    Returns:
        The spoilt answers, [N, K], and which rows were flipped, [N].

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
    drawn: the mistakes follow from the inputs, as a language model's do that has taken to two of its options.

    Args:
        teacher_probs: [N, K], rows sum to one; K at least 2.
        classes: The favoured ones, some but not all.
        log_odds: Natural logarithm of the factor, 0 or more.

    Returns:
        The biased answers, [N, K], and in which rows the likeliest class is another one now, [N].

    Example:
        Odds of 1 : 3 become 3 : 3 with a factor of three, and 9 : 3 with nine.

        >>> answers = torch.tensor([[0.25, 0.75]], dtype=torch.float64)
        >>> favouring(answers, [0], log_odds=2.1972245773362196)[0].numpy().round(3).tolist()
        [[0.75, 0.25]]

    Raises:
        InputError: One class only, no favoured class, all of them, one that does not exist, a negative or endless
            `log_odds`, or answers that are all certain, which no odds can move.
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
        raise InputError("All answers are certain, so that no log_odds can move one; give the teacher's probabilities.")
    factor = torch.zeros(num_classes, dtype=torch.float64, device=teacher_probs.device)
    factor[named] = log_odds
    # Divided by the largest factor rather than multiplied: large odds cannot overflow.
    raised = teacher_probs.double() * (factor - log_odds).exp()
    total = raised.sum(dim=1, keepdim=True)
    biased = torch.where(total > 0, raised / total.clamp(min=torch.finfo(torch.float64).tiny), teacher_probs.double())
    biased = biased.to(teacher_probs.dtype)
    return biased, biased.argmax(dim=1) != teacher_probs.argmax(dim=1)


def _scaled_to(doubt: Tensor, rate: float) -> Tensor:
    """min(1, c doubt) with mean `rate`."""
    if rate > (doubt > 0).double().mean().item():
        raise InputError(
            f"rate is {rate} but only {(doubt > 0).double().mean().item():.3g} of the answers have a margin below 1; "
            "ask for fewer flips or set falling_in_margin=False."
        )
    if rate == 0:
        return torch.zeros_like(doubt)
    # The mean rises with c, piece by piece; with the j most doubtful rows at 1 the rest must make up what is missing.
    ranked = doubt.sort(descending=True).values
    saturated = torch.arange(len(doubt), dtype=doubt.dtype)
    left = ranked.flip(0).cumsum(0).flip(0)
    scale = (rate * len(doubt) - saturated) / left.clamp(min=torch.finfo(doubt.dtype).tiny)
    fits = (scale * ranked <= 1 + 1e-9) & (ranked > 0)
    first = int(fits.long().argmax())
    return (scale[first] * doubt).clamp(max=1)
