"""Combines several teachers: a stack without scorers that add nothing, with biases where the labels pay for them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from overproof.cross_fitting import answers_by_role, folds, out_of_fold
from overproof.errors import InputError
from overproof.functional import margin, names_none
from overproof.functional.repeats import Repeats
from overproof.noise.class_accuracy import same_margins
from overproof.noise.named_posterior import named_posterior, named_posterior_by_role, posterior_of
from overproof.noise.stacking import Scores, Stacking, folds_of_stack, log_loss, stack


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Combination:
    """A stack of the scorers that add something.

    Args:
        stacking: The weights of all S scorers, 0 for those that are left out, and the biases.
        posteriors: For each scorer of hard labels P(true class | predicted class), [K, K], by which its labels are
            replaced; None for a scorer of probabilities.
        left_out: The scorers that add nothing, by number.
    """

    stacking: Stacking
    posteriors: tuple[Float64[Tensor, "K K"] | None, ...]
    left_out: tuple[int, ...]

    def __call__(self, scores: Scores) -> Float64[Tensor, "N K"]:
        """The probabilities of all together.

        Args:
            scores: S arrays [N, K], as the scorers give them.
        """
        return self.stacking(
            [
                each if table is None else posterior_of(table, each)
                for each, table in zip(scores, self.posteriors, strict=True)
            ]
        )

    def summary(self) -> dict[str, Any]:
        """Weights, biases and what was left out as values for JSON."""
        return {**self.stacking.summary(), "left_out": list(self.left_out)}


def combine(
    scores: Scores,
    label: Int[Tensor, "_"],
    *,
    seed: int,
    hard: Sequence[bool] | None = None,
    repeats: Repeats | None = None,
) -> Combination:
    """Fit a stack, leave out scorers that add nothing, and give classes biases where the labels pay for them.

    1. The labels of a scorer of hard labels become P(true class | predicted class), out of fold on these examples.
    2. Starting with all scorers, the one without which the sum of -log p(label) rises least is left out, as long as
       it rises by less than 1, the number of parameters that go (Akaike's criterion). A scorer that adds nothing is
       left out in about nine of ten cases.
    3. Biases, K - 1 parameters, are fitted where they lower that sum by more than K - 1.

    Args:
        scores: S arrays [V, K] of probabilities, every one **out of sample** on these examples.
        label: [V], the true classes.
        seed: Draws the folds of the posteriors.
        hard: Whether each scorer gives hard labels; by default those whose answers here all have the same margin.
        repeats: Of the examples: each content counts once, dependent ones count as `stack` counts them.

    Example:
        The first scorer has probability .9 and is always right, the second always has .5: it is left out.

        >>> sure, idle = torch.tensor([[0.9, 0.1], [0.1, 0.9]]).repeat(50, 1), torch.full((100, 2), 0.5)
        >>> found = combine([sure, idle], torch.tensor([0, 1]).repeat(50), seed=0)
        >>> found.left_out, found.stacking.weight[1].item()
        ((1,), 0.0)

    Raises:
        InputError: As in `stack`.

    Source: Breiman (1996), Stacked regressions, Machine Learning 24; Akaike (1974), A new look at the statistical model
        identification, IEEE Transactions on Automatic Control 19.
    """
    if not scores:
        raise InputError("scores is empty; a stack needs at least one scorer.")
    hard = hard_labels(scores) if hard is None else hard
    repeats = Repeats.none(len(label)) if repeats is None else repeats
    once = repeats.once
    posteriors = tuple(
        named_posterior(label[once], each[once]) if named else None for each, named in zip(scores, hard, strict=True)
    )
    seen = [_posterior_out_of_fold(e, label, seed, repeats) if h else e for e, h in zip(scores, hard, strict=True)]
    information = repeats.num_independent / len(once)

    def fitted(kept: Sequence[int], bias: bool) -> tuple[Stacking, float]:
        """The stack of some scorers, and the sum of -log p(label) over independent examples."""
        some = [seen[number] for number in kept]
        found = stack(some, label, bias=bias, repeats=repeats)
        return found, information * log_loss(found(some), label)[once].sum().item()

    kept = list(range(len(scores)))
    best, loss = everyone, _ = fitted(kept, bias=False)
    while len(kept) > 1:
        without = {number: fitted([each for each in kept if each != number], bias=False) for number in kept}
        idle = min(kept, key=lambda number: without[number][1])
        if without[idle][1] - loss >= 1:
            break
        kept.remove(idle)
        best, loss = without[idle]
    biased, loss_biased = fitted(kept, bias=True)
    if loss - loss_biased > len(best.bias) - 1:
        best = biased
    return Combination(
        stacking=_among_all(best, kept, everyone), posteriors=posteriors, left_out=_others(kept, len(scores))
    )


def combined_by_role(
    scores: Sequence[Mapping[str, Float[Tensor, "_ _"]]],
    label: Mapping[str, Int[Tensor, "_"]],
    *,
    seed: int,
    repeats: Repeats | None = None,
) -> tuple[dict[str, Float64[Tensor, "_ _"]], Combination]:
    """One combination for several sets of examples, out of fold on those with labels, which it is fitted on.

    Everything that `combine` fits and chooses is fitted and chosen anew without each of ten folds.

    Args:
        scores: For each scorer its probabilities by set, out of sample.
        label: The labels of the sets that the combination is fitted on, two or more in all.
        seed: Draws the folds (as many as there are examples, or groups, where those are fewer).
        repeats: Of the examples with labels, set after set; examples of a group are in one fold.

    Returns:
        The answers by set, and the combination fitted on all labels.

    Example:
        >>> probs = torch.tensor([[0.8, 0.2], [0.3, 0.7]]).repeat(10, 1)
        >>> labels = {"labelled": torch.tensor([0, 1]).repeat(10)}
        >>> answers, found = combined_by_role([{"labelled": probs, "pool": probs[:5]}] * 2, labels, seed=0)
        >>> torch.equal(answers["pool"], found([probs[:5], probs[:5]])), answers["labelled"].shape, found.left_out
        (True, torch.Size([20, 2]), (0,))

    Raises:
        InputError: As in `stack`, or fewer than two examples.
    """
    joined, truth = [torch.cat([each[role] for role in label]) for each in scores], torch.cat(list(label.values()))
    repeats = Repeats.none(len(truth)) if repeats is None else repeats
    num_folds = folds_of_stack(repeats)
    hard = hard_labels([torch.cat(list(each.values())) for each in scores])

    def fit(rows: Tensor) -> Callable[[Tensor], Tensor]:
        found = combine([each[rows] for each in joined], truth[rows], seed=seed, hard=hard, repeats=repeats.take(rows))
        return lambda held_out: found([each[held_out] for each in joined])

    held_out = out_of_fold(fit, folds(truth, num_folds, seed, repeats.group))
    found = combine(joined, truth, seed=seed, hard=hard, repeats=repeats)
    return answers_by_role(held_out, label, scores[0], lambda role: found([e[role] for e in scores])), found


def hard_labels(scores: Scores) -> tuple[bool, ...]:
    """Whether each scorer gives hard labels: all its answers that name a class have the same margin, above 0.

    Example:
        >>> hard_labels([torch.eye(2), torch.tensor([[0.9, 0.1], [0.4, 0.6]]), torch.full((2, 2), 0.5)])
        (True, False, False)
    """
    margins = [margin(each[~names_none(each)].double()) for each in scores]
    return tuple(bool(same_margins(each) and (each > 0).any()) for each in margins)


def _posterior_out_of_fold(
    probs: Float[Tensor, "V K"], label: Int[Tensor, "V"], seed: int, repeats: Repeats
) -> Float64[Tensor, "V K"]:
    if repeats.num_groups < 2:
        return posterior_of(named_posterior(label, probs), probs)
    return named_posterior_by_role({"labelled": probs}, {"labelled": label}, seed=seed, repeats=repeats)["labelled"]


def _among_all(found: Stacking, kept: Sequence[int], everyone: Stacking) -> Stacking:
    """The weights of some scorers among those of all; one that is left out has weight 0, with the interval it had."""
    weight, low, high = torch.zeros_like(everyone.weight), everyone.weight_low.clone(), everyone.weight_high.clone()
    weight[list(kept)], low[list(kept)], high[list(kept)] = found.weight, found.weight_low, found.weight_high
    low[list(_others(kept, len(weight)))] = 0
    return Stacking(weight=weight, weight_low=low, weight_high=high, bias=found.bias)


def _others(kept: Sequence[int], num: int) -> tuple[int, ...]:
    return tuple(number for number in range(num) if number not in kept)
