"""Adds known noise to given labels: symmetric, asymmetric, hierarchical and adversarial.

In all four kinds a share of the examples that can change is selected, independent of their inputs, and every selected
example gets a new class. `exact` selects round(share * examples that can change) of them; otherwise each is selected
independently with probability `share`. An unknown label (-1) stays unknown and is not counted.
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
    """Noisy labels, which of them changed, and the exact transition matrix.

    Args:
        label: [N], the noisy labels; -1 where the given one was unknown.
        changed: [N], True where the noisy label differs from the given one.
        transition: [K, K], exactly P(noisy label j | given label i) over the random noise, for these examples and, with
            `exact`, this number of selected ones; rows sum to one, and a class that cannot change has the identity's
            row.
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
    """A selected example gets a uniformly random class: one of the other K - 1 classes, or one of all K.

    transition = (1 - share) I + share (1 - I) / (K - 1) without the true class, and (1 - share) I + share / K with it,
    so that only share (K - 1) / K of the labels change. Both are common in the literature.

    Args:
        label: [N], in 0..K-1, or -1 where unknown.
        num_classes: K, at least 2.
        share: Share of selected examples, in [0, 1].
        seed: Seed of the selection and of the new classes.
        include_true: Whether a selected example may keep its class.
        exact: Select round(share * N) examples; otherwise each with probability `share`.

    Example:
        >>> noisy = symmetric_noise(torch.zeros(10, dtype=torch.long), 3, share=0.5, seed=0)
        >>> noisy.changed.sum().item(), noisy.transition[0].tolist()
        (5, [0.5, 0.25, 0.25])

    Raises:
        InputError: A share outside [0, 1], fewer than two classes, or a label out of range.
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
    """A selected example gets the class that its own is confused with, such as automobile for truck.

    Args:
        label: [N], in 0..K-1, or -1 where unknown.
        num_classes: K, at least 2.
        share: Share of the examples whose class is in the map, in [0, 1]; the others never change and are not counted.
        seed: Seed of the selection.
        class_map: From a class to the different class it is confused with.
        exact: Select round(share * examples whose class is in the map); otherwise each with probability `share`.

    Example:
        Two of the four examples of class 1 become class 0; class 0 stays.

        >>> noisy = asymmetric_noise(torch.tensor([1, 1, 1, 1, 0]), 2, share=0.5, seed=0, class_map={1: 0})
        >>> noisy.changed.sum().item(), noisy.transition.tolist()
        (2, [[1.0, 0.0], [0.5, 0.5]])

    Raises:
        InputError: As `symmetric_noise`; a map that is empty, has an unknown class, or maps a class to itself; no
            example whose class is in it.

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
            raise InputError(f"class_map maps class {mistaken} to itself; leave out a class that never changes.")
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
    """A selected example gets a uniformly random one of the *other* classes of its group (its superclass).

    Args:
        label: [N], in 0..K-1, or -1 where unknown.
        num_classes: K, at least 2.
        share: Share of the examples whose class is in a group with another, in [0, 1]; the others never change and are
            not counted.
        seed: Seed of the selection and of the new classes.
        groups: Disjoint sets of classes; a class in none of them never changes.
        exact: Select round(share * examples that can change); otherwise each with probability `share`.

    Example:
        Classes 0 and 1 are exchanged; class 2 does not change.

        >>> hierarchical_noise(torch.tensor([0, 1, 2]), 3, share=1.0, seed=0, groups=[[0, 1]]).label.tolist()
        [1, 0, 2]

    Raises:
        InputError: As `symmetric_noise`; an unknown or repeated class in the groups; no example that can change.
    """
    check_classes(num_classes)
    named = [each for group in groups for each in group]
    for each in named:
        if not 0 <= each < num_classes:
            raise InputError(
                f"groups names class {each}; with {num_classes} classes it must be in 0..{num_classes - 1}."
            )
        if named.count(each) > 1:
            raise InputError(f"groups has class {each} twice; every class may be in one group only.")
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
    """A selected example gets the wrong class with the highest score of a model: errors that depend on the inputs.

    Args:
        label: [N], in 0..K-1, or -1 where unknown.
        scores: [N, K], a model's probabilities or logits, preferably out of sample; `example` uses only their order
            within a row, `class` their means.
        share: Share of selected examples, in [0, 1].
        seed: Seed of the selection.
        confused: `example` uses the highest score of a wrong class in the example's row; `class` the highest mean score
            over all examples of the class, so that all of them get the same new class.
        exact: Select round(share * N) examples; otherwise each with probability `share`.

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
    """Check that there are at least two classes.

    Raises:
        InputError: There are fewer.
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
    """`becomes` [K, K] is the distribution of a selected example's new class; a row of zeros never changes."""
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
    """`becomes` [N, K] is the distribution of each example's new class; a row of zeros never changes."""
    if not 0 <= share <= 1:
        raise InputError(f"share is {share}; it must be in [0, 1].")
    num_classes = becomes.shape[1]
    able = ((label >= 0) & (becomes.sum(dim=1) > 0)).nonzero().squeeze(1)
    if len(able) == 0:
        raise InputError(f"{option} leaves no example that could change; at least one with such a label is needed.")
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
