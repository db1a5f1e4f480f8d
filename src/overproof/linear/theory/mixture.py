"""Mixtures of a teacher and its students: the optimal mixture from second moments, and weights of several rounds."""

from collections.abc import Sequence

from overproof.errors import InputError
from overproof.linear.theory.checks import Number, finite


def distilled_risk(risk: Number, cross_risk: Number, student_risk: Number) -> tuple[float, float]:
    """The best mixture of a teacher and its pure student, and its risk, from second moments of their errors.

    The mixture's risk is (1 - x)^2 risk + 2 x (1 - x) cross_risk + x^2 student_risk; with
    D = risk + student_risk - 2 cross_risk its minimum is at x = (risk - cross_risk)/D, where it is
    risk - (risk - cross_risk)^2/D. All three numbers are for one regularization.

    Args:
        risk: Mean squared error of the teacher.
        cross_risk: Mean product of the two errors.
        student_risk: Mean squared error of the student that is trained on the teacher's predictions alone.

    Returns:
        The optimal imitation and the risk there; (0, risk) where teacher and student do not differ (D is 0).

    Example:
        >>> distilled_risk(3.0, 1.0, 1.0)
        (1.0, 1.0)

    Raises:
        InputError: A number is not finite, or D is negative, so that these are not second moments.

    Source: arXiv 2602.17565 (optimal mixing of teacher and student in ridge regression).
    """
    first, cross, second = (
        finite(name, value)
        for name, value in (("risk", risk), ("cross_risk", cross_risk), ("student_risk", student_risk))
    )
    difference = first + second - 2 * cross
    if difference < 0:
        raise InputError(
            f"risk + student_risk - 2 cross_risk is {difference:g}; it is a mean square and must not be negative."
        )
    if difference == 0:
        return 0.0, first
    imitation = (first - cross) / difference
    return imitation, first - imitation * (first - cross)


def mixture_weights(imitations: Sequence[float]) -> list[float]:
    """The weight of each pure student after k rounds of self-distillation with given imitations.

    With A the smoother (labels to fitted values), round j trains on imitation_j * (round j - 1) + (1 - imitation_j) *
    label. Linear models of one regularization give f_k = sum w_i A^i f_0 with sum w_i = 1, f_0 the teacher. Tune the
    weights, not the imitations: those of good weights can be of the order of 1e5.

    Args:
        imitations: [k], of each round, the first round first.

    Returns:
        [k + 1]: w_0 of the teacher, w_1 of the student trained on its predictions alone, and so on.

    Example:
        >>> mixture_weights([2.0])
        [-1.0, 2.0]
        >>> mixture_weights([2.0, 0.5])
        [0.5, -0.5, 1.0]

    Source: Pareek, Du and Oh (2024), arXiv 2407.04600, repeated self-distillation of ridge regression.
    """
    weights = [1.0]
    for imitation in imitations:
        weights = [1 - imitation, *(imitation * weight for weight in weights)]
    return weights
