"""Worlds whose true labels, posterior and teacher noise are known: for tests, for the tutorial and for trying a method.

A world is a table of inputs and a teacher's answers to them. What in real life has to be estimated stands beside them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from overproof.errors import InputError
from overproof.functional import one_hot
from overproof.synthetic.corrupt_labels import check_classes


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class World:
    """N examples of which everything is known.

    Args:
        inputs: [N, D].
        label: [N], the true classes, drawn from `posterior`.
        teacher_probs: [N, K], the teacher's answers; rows sum to one.
        teacher_accuracy: [N], exactly P(the pseudo-label is the label) for these inputs; what it is conditional on
            beside them, the function that made the world says.
        posterior: [N, K], exactly P(label | inputs).
        transition: [K, K], P(pseudo-label j | label i) over these N inputs: the expectation over labels and noise, not
            a count; a class that cannot occur has the identity's row.
    """

    inputs: Float32[Tensor, "N D"]
    label: Int64[Tensor, "N"]
    teacher_probs: Float32[Tensor, "N K"]
    teacher_accuracy: Float32[Tensor, "N"]
    posterior: Float32[Tensor, "N K"]
    transition: Float32[Tensor, "K K"]

    def __len__(self) -> int:
        return len(self.label)


def blobs(
    num_examples: int,
    num_classes: int,
    seed: int,
    *,
    num_features: int = 2,
    radius: float = 2.0,
    displacement: float = 0.5,
    temperature: float = 0.5,
) -> World:
    """Gaussian classes of unit variance, equally frequent, and a teacher that has their means a little wrong.

    The class means lie evenly on a circle in the first two features; the others are pure noise. The teacher computes
    the posterior with means displaced by Gaussian steps and sharpens it: it errs near the borders, is too sure of
    itself, and its errors are a function of the inputs. `teacher_accuracy` is the posterior of its pseudo-label.

    Args:
        num_examples: N.
        num_classes: K, at least 2.
        seed: Draws the examples; the teacher is the same for all seeds, so two worlds are two samples of one problem.
        num_features: D, at least 2.
        radius: Of the circle, in standard deviations; larger is easier.
        displacement: Standard deviation of the teacher's error in each mean.
        temperature: Of the teacher; below 1 it is too sure of itself, 1 is calibrated where `displacement` is 0.

    Example:
        >>> world = blobs(100, 3, seed=0)
        >>> world.inputs.shape, world.posterior.sum(dim=1).allclose(torch.ones(100))
        (torch.Size([100, 2]), True)
    """
    check_classes(num_classes)
    generator = torch.Generator().manual_seed(seed)
    means = _circle(num_classes, num_features, radius)
    label, inputs = _draw(means, num_examples, generator)
    # A seed of its own: the teacher belongs to the problem, not to the sample.
    mistaken = means + displacement * torch.randn(means.shape, generator=torch.Generator().manual_seed(7))
    posterior = _posterior(inputs, means)
    teacher_probs = (_scores(inputs, mistaken) / temperature).softmax(dim=1)
    return _deterministic_world(inputs, label, teacher_probs, posterior)


def rising_accuracy(margin: Float[Tensor, "N"]) -> Float[Tensor, "N"]:
    """From .5 at margin 0 to .98 at margin 1, in a straight line.

    Example:
        >>> rising_accuracy(torch.tensor([0.5])).item()
        0.7400000095367432
    """
    return 0.5 + 0.48 * margin


def margin_world(
    num_examples: int,
    num_classes: int,
    seed: int,
    *,
    num_candidates: int = 2,
    accuracy: Callable[[Tensor], Tensor] = rising_accuracy,
    radius: float = 4.0,
) -> World:
    """A teacher that is right with a known probability of its margin, and else names any other of its candidates.

    The inputs are those of `blobs`. The candidates of an example are its label and `num_candidates - 1` other classes
    drawn evenly; its margin is drawn evenly from [0, 1) whatever the inputs; the teacher names the label with
    probability accuracy(margin), else one of the other candidates, evenly. The candidates are its likeliest classes, in
    an order that tells nothing, and the difference of the first two is the margin. So the noise is exactly SLaM's, with
    `teacher_accuracy` and `num_candidates` as its parameters: P(pseudo-label is the label | label, margin).

    Args:
        num_examples: N.
        num_classes: K.
        seed: Draws everything.
        num_candidates: 2..K.
        accuracy: From margins [N] to P(right) [N], in [0, 1].
        radius: See `blobs`; at 4 and few classes the inputs determine the label almost surely.

    Example:
        >>> from overproof.functional import margin
        >>> world = margin_world(1000, 5, seed=0, num_candidates=3)
        >>> world.teacher_accuracy.allclose(0.5 + 0.48 * margin(world.teacher_probs))
        True
        >>> (world.teacher_probs.topk(3).indices == world.label.unsqueeze(1)).any(dim=1).all().item()
        True
    """
    check_classes(num_classes)
    if not 2 <= num_candidates <= num_classes:
        raise InputError(
            f"num_candidates is {num_candidates}; with {num_classes} classes it must be 2 to {num_classes}."
        )
    generator = torch.Generator().manual_seed(seed)
    means = _circle(num_classes, 2, radius)
    label, inputs = _draw(means, num_examples, generator)
    margins = torch.rand(num_examples, generator=generator, dtype=torch.float64)
    probs_right = accuracy(margins)
    right = torch.rand(num_examples, generator=generator, dtype=torch.float64) < probs_right

    # The other candidates in random order; where the teacher is wrong the first of them is its pseudo-label, and the
    # label takes a random place among the rest.
    order = torch.rand(num_examples, num_classes, generator=generator)
    order.scatter_(1, label.unsqueeze(1), 2.0)
    others = order.argsort(dim=1)
    place = torch.where(right, 0, torch.randint(1, num_candidates, (num_examples,), generator=generator))
    ranking = _insert(others[:, :-1], label, place)

    # What the margin leaves is shared so that the first two would tie without it: their difference is the margin.
    # Shares fall slowly among the candidates, so that their order is certain, and to a hundredth for everyone else.
    shares = 0.9 ** torch.arange(num_classes - 1, dtype=torch.float64)
    shares[num_candidates - 1 :] *= 0.01
    ranked = (1 - margins).unsqueeze(1) * torch.cat([shares[:1], shares]) / (1 + shares.sum())
    ranked[:, 0] += margins
    posterior = _posterior(inputs, means)
    of_class = _mean_by_class(probs_right.float(), posterior).unsqueeze(1)
    elsewhere = (1 - of_class) / (num_classes - 1)
    return World(
        inputs=inputs,
        label=label,
        teacher_probs=torch.zeros(num_examples, num_classes, dtype=torch.float64).scatter(1, ranking, ranked).float(),
        teacher_accuracy=probs_right.float(),
        posterior=posterior,
        transition=torch.where(torch.eye(num_classes, dtype=torch.bool), of_class, elsewhere),
    )


def systematic_world(
    num_examples: int, num_classes: int, seed: int, *, share: float = 0.3, radius: float = 3.0
) -> World:
    """A teacher that is blind in a part of the input space: no noise model sees it, and labelled examples do.

    Beside the two features of `blobs` there is a third, standard normal whatever the class. Where it is large the
    teacher calls every class by the next one's name; elsewhere it is the best classifier there is. Its margins are
    drawn evenly whatever the inputs, so that nothing but the inputs tells where it errs, and there everything does.
    `teacher_accuracy` is the posterior of its pseudo-label: near 1 outside and near 0 inside.

    Args:
        num_examples: N.
        num_classes: K, at least 2.
        seed: Draws everything.
        share: Probability of the blind part, in (0, 1).
        radius: See `blobs`.

    Example:
        >>> world = systematic_world(1000, 3, seed=0)
        >>> blind = world.inputs[:, 2] > 0.5244  # the upper three tenths
        >>> (world.teacher_accuracy[~blind].min() > 0.33).item(), world.teacher_accuracy[blind].mean().item() < 0.1
        (True, True)
    """
    check_classes(num_classes)
    if not 0 < share < 1:
        raise InputError(f"share is {share}; it must be between 0 and 1.")
    generator = torch.Generator().manual_seed(seed)
    means = _circle(num_classes, 3, radius)
    label, inputs = _draw(means, num_examples, generator)
    posterior = _posterior(inputs, means)
    blind = inputs[:, 2] > math.sqrt(2) * torch.erfinv(torch.tensor(1 - 2 * share))
    named = torch.where(blind, (posterior.argmax(dim=1) + 1) % num_classes, posterior.argmax(dim=1))
    margins = torch.rand(num_examples, generator=generator).unsqueeze(1)
    top = torch.zeros_like(posterior).scatter(1, named.unsqueeze(1), 1.0)
    return _deterministic_world(inputs, label, margins * top + (1 - margins) / num_classes, posterior)


def two_views(num_examples: int, num_classes: int, seed: int, *, added: float = 1.0, radius: float = 1.5) -> World:
    """A perfect teacher of one view and a student that sees another: how much that adds is a dial.

    Both views are the class mean of `blobs` in two features and unit noise; the noise of the student's view, `inputs`,
    has correlation 1 - added with that of the teacher's. At 0 both see the same and nobody can correct this teacher; at
    1 they err independently. The teacher states its posterior exactly, and

        P(label | both) is in proportion to (P(label | teacher's view) P(label | student's view))^(1 / (2 - added)),

    so that this is what a stack of the two must find: both weights 1 at 1, one half at 0.

    Args:
        num_examples: N.
        num_classes: K, at least 2.
        seed: Draws everything.
        added: In [0, 1].
        radius: See `blobs`.

    Returns:
        A world whose `posterior` is that of the student's view alone, and whose `teacher_accuracy` and `transition`
        follow from the teacher's view, which is no part of the world.

    Example:
        >>> world = two_views(1000, 3, seed=0, added=0.0)
        >>> world.teacher_probs.allclose(world.posterior, atol=1e-6)
        True
    """
    check_classes(num_classes)
    if not 0 <= added <= 1:
        raise InputError(f"added is {added}; it must be in [0, 1].")
    generator = torch.Generator().manual_seed(seed)
    means = _circle(num_classes, 2, radius)
    label, teacher_view = _draw(means, num_examples, generator)
    shared, own = 1 - added, torch.randn(num_examples, 2, generator=generator)
    inputs = means[label] + shared * (teacher_view - means[label]) + math.sqrt(1 - shared**2) * own
    teacher_probs = _posterior(teacher_view, means)
    world = _deterministic_world(inputs, label, teacher_probs, teacher_probs)
    return replace(world, posterior=_posterior(inputs, means))


def _circle(num_classes: int, num_features: int, radius: float) -> Tensor:
    angle = 2 * torch.pi * torch.arange(num_classes) / num_classes
    means = torch.zeros(num_classes, num_features)
    means[:, 0], means[:, 1] = radius * angle.cos(), radius * angle.sin()
    return means


def _draw(means: Tensor, num_examples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    label = torch.randint(len(means), (num_examples,), generator=generator)
    return label, means[label] + torch.randn(num_examples, means.shape[1], generator=generator)


def _scores(inputs: Tensor, means: Tensor) -> Tensor:
    """Log-likelihood under every class, less what is common to all."""
    return inputs @ means.T - means.square().sum(dim=1) / 2


def _posterior(inputs: Tensor, means: Tensor) -> Tensor:
    return _scores(inputs.double(), means.double()).softmax(dim=1).float()


def _deterministic_world(inputs: Tensor, label: Tensor, teacher_probs: Tensor, posterior: Tensor) -> World:
    """The teacher's answer is a function of the inputs (and of what is independent of the label)."""
    named = one_hot(teacher_probs)
    mass = posterior.sum(dim=0).unsqueeze(1)
    return World(
        inputs=inputs,
        label=label,
        teacher_probs=teacher_probs,
        teacher_accuracy=(posterior * named).sum(dim=1),
        posterior=posterior,
        transition=torch.where(mass > 0, posterior.T @ named / mass, torch.eye(len(mass))),
    )


def _mean_by_class(values: Tensor, posterior: Tensor) -> Tensor:
    mass = posterior.sum(dim=0)
    return torch.where(mass > 0, values @ posterior / mass, 1.0)


def _insert(others: Tensor, label: Tensor, place: Tensor) -> Tensor:
    """`others` [N, K - 1] with the label put in at its place, [N, K]."""
    column = torch.arange(others.shape[1] + 1).expand(len(others), -1)
    before = others.gather(1, (column - (column > place.unsqueeze(1)).long()).clamp(max=others.shape[1] - 1))
    return torch.where(column == place.unsqueeze(1), label.unsqueeze(1), before)
