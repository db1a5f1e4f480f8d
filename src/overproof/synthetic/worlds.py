"""Synthetic data sets with known labels, posterior and teacher noise: for tests, the tutorial and trying a method.

A world has inputs, a teacher's predictions, and the exact values of what has to be estimated for real data.
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
    """N examples with known distributions.

    Args:
        inputs: [N, D].
        label: [N], the true classes, drawn from `posterior`.
        teacher_probs: [N, K], the teacher's predictions; rows sum to one.
        teacher_accuracy: [N], exactly P(the pseudo-label is the label) given these inputs, and given what else the
            function that makes the world documents.
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
    """Gaussian classes of unit variance, equally frequent, and a teacher with slightly wrong class means.

    The class means are evenly spaced on a circle in the first two features; the other features are noise. The teacher
    computes the posterior with means displaced by Gaussian steps and sharpens it: it errs near the class boundaries, is
    overconfident, and its errors are a function of the inputs. `teacher_accuracy` is the posterior of its pseudo-label.

    Args:
        num_examples: N.
        num_classes: K, at least 2.
        seed: Seed of the examples; the teacher is the same for all seeds, so two worlds are two samples of one problem.
        num_features: D, at least 2.
        radius: Radius of the circle, in standard deviations; larger is easier.
        displacement: Standard deviation of the teacher's error in each mean.
        temperature: Of the teacher; below 1 it is overconfident, with `displacement` 0 it is calibrated at 1.

    Example:
        >>> world = blobs(100, 3, seed=0)
        >>> world.inputs.shape, world.posterior.sum(dim=1).allclose(torch.ones(100))
        (torch.Size([100, 2]), True)
    """
    check_classes(num_classes)
    generator = torch.Generator().manual_seed(seed)
    means = _circle(num_classes, num_features, radius)
    label, inputs = _draw(means, num_examples, generator)
    # A separate seed: the teacher is part of the problem, not of the sample.
    mistaken = means + displacement * torch.randn(means.shape, generator=torch.Generator().manual_seed(7))
    posterior = _posterior(inputs, means)
    teacher_probs = (_scores(inputs, mistaken) / temperature).softmax(dim=1)
    return _deterministic_world(inputs, label, teacher_probs, posterior)


def rising_accuracy(margin: Float[Tensor, "N"]) -> Float[Tensor, "N"]:
    """Linear from .5 at margin 0 to .98 at margin 1.

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
    """A teacher whose accuracy is a known function of its margin, with errors uniform over its other candidates.

    The inputs are those of `blobs`. The candidates of an example are its label and `num_candidates - 1` random other
    classes; its margin is uniform in [0, 1), independent of the inputs; the pseudo-label is the label with probability
    accuracy(margin), otherwise a random one of the other candidates. The candidates are the teacher's most likely
    classes, in an uninformative order, and the difference of the first two probabilities is the margin. So the noise
    is exactly that of SLaM, with `teacher_accuracy` and `num_candidates` as its parameters: P(pseudo-label is the label
    | label, margin).

    Args:
        num_examples: N.
        num_classes: K.
        seed: Seed of everything random.
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
    # label has a random position among the rest.
    order = torch.rand(num_examples, num_classes, generator=generator)
    order.scatter_(1, label.unsqueeze(1), 2.0)
    others = order.argsort(dim=1)
    place = torch.where(right, 0, torch.randint(1, num_candidates, (num_examples,), generator=generator))
    ranking = _insert(others[:, :-1], label, place)

    # The rest of the probability is distributed so that the first two differ by exactly the margin.
    # Shares decrease slowly among the candidates, so that their order is defined, and to a hundredth for other classes.
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
    """A teacher that is wrong in one region of the inputs: noise models cannot detect it, labelled examples can.

    In addition to the two features of `blobs` there is a third, standard normal and independent of the class. Where it
    is large the teacher predicts the class after the right one; elsewhere it is the Bayes classifier. Its margins are
    uniform and independent of the inputs, so that only the inputs show where it errs. `teacher_accuracy` is the
    posterior of its pseudo-label: near 1 outside and near 0 inside the region.

    Args:
        num_examples: N.
        num_classes: K, at least 2.
        seed: Seed of everything random.
        share: Probability of the region, in (0, 1).
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
    """A teacher and a student with two views of each example: how much information the second view adds is a parameter.

    Both views are the class mean of `blobs` in two features plus unit noise; the noise of the student's view, `inputs`,
    has correlation 1 - added with that of the teacher's. At 0 the views are the same and the teacher cannot be
    improved; at 1 their errors are independent. The teacher predicts its exact posterior, and

        P(label | both) is in proportion to (P(label | teacher's view) P(label | student's view))^(1 / (2 - added)),

    so that the right weights of a stack of the two are known: both 1 at added 1, one half at 0.

    Args:
        num_examples: N.
        num_classes: K, at least 2.
        seed: Seed of everything random.
        added: In [0, 1].
        radius: See `blobs`.

    Returns:
        A world with the `posterior` of the student's view alone; `teacher_accuracy` and `transition` are those of the
        teacher's view, which is not part of the world.

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
    """Log-likelihood of every class, up to a constant."""
    return inputs @ means.T - means.square().sum(dim=1) / 2


def _posterior(inputs: Tensor, means: Tensor) -> Tensor:
    return _scores(inputs.double(), means.double()).softmax(dim=1).float()


def _deterministic_world(inputs: Tensor, label: Tensor, teacher_probs: Tensor, posterior: Tensor) -> World:
    """A world whose teacher predictions are a function of the inputs (and of noise independent of the label)."""
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
    """`others` [N, K - 1] with the label inserted at its position, [N, K]."""
    column = torch.arange(others.shape[1] + 1).expand(len(others), -1)
    before = others.gather(1, (column - (column > place.unsqueeze(1)).long()).clamp(max=others.shape[1] - 1))
    return torch.where(column == place.unsqueeze(1), label.unsqueeze(1), before)
