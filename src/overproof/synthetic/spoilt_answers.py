"""A teacher's answers spoilt at random, so that nothing in them tells."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from overproof.errors import InputError
from overproof.functional import margin
from overproof.synthetic.label_noise import check_classes


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
