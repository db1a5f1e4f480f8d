"""Given labels corrupted by a known law: symmetric, asymmetric, hierarchical and adversarial.

In all four kinds a share of the examples that can change is picked, whatever their inputs, and every picked example
draws a new class. `exact` picks round(share * examples that can change) of them; otherwise each is picked with
probability `share` by itself. An unknown label (-1) stays unknown and is never counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor

from overproof.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NoisyLabels:
    """Labels after corruption, and all that is known of it.

    Args:
        label: [N], the noisy labels; -1 where the given one was unknown.
        changed: [N], True where the noisy label is not the given one.
        transition: [K, K], exactly P(noisy label j | given label i) over the draw of the noise, for these examples and,
            with `exact`, this number of picked ones; rows sum to one, and a class that cannot change keeps itself.
    """

    label: Int64[Tensor, "N"]
    changed: Bool[Tensor, "N"]
    transition: Float64[Tensor, "K K"]


def symmetric_noise(
    label: Int[Tensor, "N"],
    num_classes: int,
    share: float,
    seed: int,
    *,
    include_true: bool = False,
    exact: bool = True,
) -> NoisyLabels:
    """A picked example draws its new class evenly: from the other K - 1 classes, or from all K.

    transition = (1 - share) I + share (1 - I) / (K - 1) without the true class, and (1 - share) I + share / K with it,
    so that only share (K - 1) / K of the labels change. The literature uses both and often does not say which.

    Args:
        label: [N], in 0..K-1, or -1 where unknown.
        num_classes: K, at least 2.
        share: Of the examples, in [0, 1].
        seed: Draws who is picked and what they become.
        include_true: Whether a picked example may draw the class it had.
        exact: Pick round(share * N) examples; otherwise each with probability `share`.

    Example:
        >>> noisy = symmetric_noise(torch.zeros(10, dtype=torch.long), 3, share=0.5, seed=0)
        >>> noisy.changed.sum().item(), noisy.transition[0].tolist()
        (5, [0.5, 0.25, 0.25])

    Raises:
        InputError: A share outside [0, 1], fewer than two classes, or a label that is none of them.
    """
    check_classes(num_classes)
    evenly = torch.ones(num_classes, num_classes, dtype=torch.float64)
    if not include_true:
        evenly.fill_diagonal_(0)
    return _by_class(label, evenly / evenly.sum(dim=1, keepdim=True), share, seed, exact)


def asymmetric_noise(
    label: Int[Tensor, "N"],
    num_classes: int,
    share: float,
    seed: int,
    *,
    class_map: Mapping[int, int],
    exact: bool = True,
) -> NoisyLabels:
    """A picked example takes the class that its own is mistaken for, such as a truck's for an automobile's.

    Args:
        label: [N], in 0..K-1, or -1 where unknown.
        num_classes: K, at least 2.
        share: Of the examples whose class is in the map, in [0, 1]; the others never change and are not counted.
        seed: Draws who is picked.
        class_map: From a class to the one it is mistaken for, another one.
        exact: Pick round(share * examples whose class is in the map); otherwise each with probability `share`.

    Example:
        Two of the four examples of class 1 become class 0; class 0 stays.

        >>> noisy = asymmetric_noise(torch.tensor([1, 1, 1, 1, 0]), 2, share=0.5, seed=0, class_map={1: 0})
        >>> noisy.changed.sum().item(), noisy.transition.tolist()
        (2, [[1.0, 0.0], [0.5, 0.5]])

    Raises:
        InputError: As `symmetric_noise`; a map that is empty, names no class, or maps a class to itself; no example
            whose class is in it.

    Source: Patrini et al. (2017), arXiv 1609.03683, section 5.
    """
    check_classes(num_classes)
    becomes = torch.zeros(num_classes, num_classes, dtype=torch.float64)
    for mistaken, taken_for in class_map.items():
        for each in (mistaken, taken_for):
            if not 0 <= each < num_classes:
                raise InputError(
                    f"class_map names class {each}; with {num_classes} classes it must be in 0..{num_classes - 1}."
                )
        if mistaken == taken_for:
            raise InputError(f"class_map sends class {mistaken} to itself; leave it out if it is never mistaken.")
        becomes[mistaken, taken_for] = 1
    return _by_class(label, becomes, share, seed, exact, "class_map")


def hierarchical_noise(
    label: Int[Tensor, "N"],
    num_classes: int,
    share: float,
    seed: int,
    *,
    groups: Sequence[Sequence[int]],
    exact: bool = True,
) -> NoisyLabels:
    """A picked example draws its new class evenly from the *other* classes of its group (its superclass).

    Args:
        label: [N], in 0..K-1, or -1 where unknown.
        num_classes: K, at least 2.
        share: Of the examples whose class shares a group with another, in [0, 1]; the others never change and are not
            counted.
        seed: Draws who is picked and what they become.
        groups: Disjoint sets of classes; a class in none of them never changes.
        exact: Pick round(share * examples that can change); otherwise each with probability `share`.

    Example:
        Classes 0 and 1 change places; class 2 stays.

        >>> hierarchical_noise(torch.tensor([0, 1, 2]), 3, share=1.0, seed=0, groups=[[0, 1]]).label.tolist()
        [1, 0, 2]

    Raises:
        InputError: As `symmetric_noise`; a group that names no class, or a class twice; no example that can change.
    """
    check_classes(num_classes)
    named = [each for group in groups for each in group]
    for each in named:
        if not 0 <= each < num_classes:
            raise InputError(
                f"groups names class {each}; with {num_classes} classes it must be in 0..{num_classes - 1}."
            )
        if named.count(each) > 1:
            raise InputError(f"groups holds class {each} twice; every class may stand in one group.")
    becomes = torch.zeros(num_classes, num_classes, dtype=torch.float64)
    for group in groups:
        for each in group:
            for other in group:
                becomes[each, other] = 0 if each == other else 1 / (len(group) - 1)
    return _by_class(label, becomes, share, seed, exact, "groups")


def adversarial_noise(
    label: Int[Tensor, "N"],
    scores: Float[Tensor, "_ K"],
    share: float,
    seed: int,
    *,
    confused: Literal["example", "class"] = "example",
    exact: bool = True,
) -> NoisyLabels:
    """A picked example takes the wrong class that a model finds likeliest: mistakes that follow from the inputs.

    Args:
        label: [N], in 0..K-1, or -1 where unknown.
        scores: [N, K], a model's probabilities or logits, best out of sample; only their order within a row counts for
            `example`, their means for `class`.
        share: Of the examples, in [0, 1].
        seed: Draws who is picked.
        confused: `example` takes the largest score other than that of the example's own class; `class` takes the class
            with the largest mean score over all examples of that class, so that all of them become the same one.
        exact: Pick round(share * N) examples; otherwise each with probability `share`.

    Example:
        >>> scores = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]])
        >>> adversarial_noise(torch.tensor([0, 0]), scores, share=1.0, seed=0).label.tolist()
        [1, 2]

    Raises:
        InputError: As `symmetric_noise`; scores of another length, or that are not finite.
    """
    num_classes = scores.shape[1]
    check_classes(num_classes)
    _check_label(label, num_classes)
    if len(scores) != len(label):
        raise InputError(f"scores has {len(scores)} rows for {len(label)} labels; each needs one.")
    if not scores.isfinite().all():
        row = int((~scores.isfinite().all(dim=1)).int().argmax())
        raise InputError(f"scores, row {row}: a score is not a finite number; all must be.")
    known = label >= 0
    own = torch.nn.functional.one_hot(label.long().clamp(min=0), num_classes).double()
    if confused == "class":
        scores = (own[known].T @ scores[known].double())[label.clamp(min=0)]
    others = scores.double().masked_fill(own.bool(), -torch.inf)
    becomes = torch.nn.functional.one_hot(others.argmax(dim=1), num_classes).double()
    return _drawn(label, becomes, share, seed, exact, "label")


def corrupt(label: Int[Tensor, "N"], transition: Float[Tensor, "K K"], seed: int) -> Int64[Tensor, "N"]:
    """Draw a pseudo-label for every label from its row of the transition matrix.

    Example:
        >>> corrupt(torch.tensor([0, 1]), torch.tensor([[0.0, 1.0], [1.0, 0.0]]), seed=0).tolist()
        [1, 0]
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(transition[label], 1, generator=generator).squeeze(1)


def check_classes(num_classes: int) -> None:
    """There are two classes or more.

    Raises:
        InputError: Fewer.
    """
    if num_classes < 2:
        raise InputError(f"num_classes is {num_classes}; it must be at least 2.")


def _check_label(label: Tensor, num_classes: int) -> None:
    outside = (label < -1) | (label >= num_classes)
    if outside.any():
        row = int(outside.int().argmax())
        raise InputError(
            f"label, row {row}: there is no class {int(label[row])}; allowed are 0..{num_classes - 1} and -1, unknown."
        )


def _by_class(
    label: Tensor, becomes: Tensor, share: float, seed: int, exact: bool, option: str = "label"
) -> NoisyLabels:
    """`becomes` [K, K] is the law of a picked example's new class; a row of zeros never changes."""
    _check_label(label, len(becomes))
    return _drawn(label, becomes[label.long().clamp(min=0)], share, seed, exact, option, of_class=becomes)


def _drawn(
    label: Tensor,
    becomes: Tensor,
    share: float,
    seed: int,
    exact: bool,
    option: str,
    of_class: Tensor | None = None,
) -> NoisyLabels:
    """`becomes` [N, K] is the law of each example's new class where it is picked, a row of zeros where it cannot be."""
    if not 0 <= share <= 1:
        raise InputError(f"share is {share}; it must be in [0, 1].")
    num_classes = becomes.shape[1]
    able = ((label >= 0) & (becomes.sum(dim=1) > 0)).nonzero().squeeze(1)
    if len(able) == 0:
        raise InputError(f"{option} leaves no example that could change; there must be one with such a label at least.")
    generator = torch.Generator().manual_seed(seed)
    if exact:
        count = round(share * len(able))
        picked = able[torch.randperm(len(able), generator=generator)[:count]]
        share = count / len(able)
    else:
        picked = able[torch.rand(len(able), generator=generator, dtype=torch.float64) < share]
    noisy = label.long().clone()
    if len(picked):
        noisy[picked] = torch.multinomial(becomes[picked], 1, generator=generator).squeeze(1)

    if of_class is None:
        own = torch.nn.functional.one_hot(label[able].long(), num_classes).double()
        of_class = own.T @ becomes[able] / own.sum(dim=0).clamp(min=1).unsqueeze(1)
    moves = of_class.sum(dim=1, keepdim=True) > 0
    identity = torch.eye(num_classes, dtype=torch.float64)
    return NoisyLabels(
        label=noisy,
        changed=noisy != label,
        transition=torch.where(moves, (1 - share) * identity + share * of_class, identity),
    )
