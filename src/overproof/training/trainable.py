"""Whether a method can be trained with given options and labels, checked before any work; and on which answers."""

import torch
from jaxtyping import Bool
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.errors import InputError
from overproof.methods.composition import Method
from overproof.methods.losses import CrossEntropy, GeneralizedCrossEntropy, TemperedDivergence
from overproof.methods.noise_models import AnswerSets, Noiseless
from overproof.methods.selectors import Everything
from overproof.methods.targets import Soft
from overproof.methods.weights import Uniform
from overproof.training.options import TrainOptions


def check_trainable(method: Method, options: TrainOptions, *, unseen: bool, validation: bool) -> None:
    """Check that a method can be trained with these options.

    Args:
        method: The method.
        options: How to train.
        unseen: Whether the teacher's answers on the labelled examples are out of sample.
        validation: Whether there are more labelled examples, which neither teacher nor student is trained on.

    Raises:
        InputError: A target that extrapolates without weight decay; a search for ξ, or a method that looks at labels,
            without labels that the teacher was not trained on.
    """
    if method.extrapolates and options.weight_decay == 0:
        raise InputError(
            "Option 'train.weight_decay' is 0, but the method's target may have negative entries (an imitation ξ "
            "outside [0, 1], or a prediction-powered correction): such a loss has no lower bound unless the weights "
            "decay; set a positive weight decay."
        )
    if method.rectified is not None and len(set(method.rectified)) > 1:
        labelled, pool = method.rectified
        raise InputError(
            f"The powers of a prediction-powered method differ: 'labelled.target.power' is {labelled:g} and "
            f"'pool.target.power' {pool:g}; set both to the same number, or the labels do not correct the pool."
        )
    if method.generations > 1 and options.teacher_answers == "online":
        raise InputError(
            "Option 'train.teacher_answers' is 'online', but of several generations all but the first learn from a "
            "student, not from that teacher; set it to 'stored'."
        )
    if method.sought is not None and method.generations > 1 and not validation:
        raise InputError(
            "With several generations an imitation of 'auto' needs a 'validation' role, because every student but the "
            "first is trained on answers of one trained on the other labels; add one, or set the imitation to a number."
        )
    if method.rectified is not None and not unseen:
        raise InputError(
            "Prediction-powered training compares the teacher's predictions with the labels of labelled examples, so "
            "they must be out of sample: cross-fit the teacher (teacher.folds of 2 or more)."
        )
    if unseen or validation:
        return
    if method.sought is not None:
        raise InputError(
            "An imitation of 'auto' is chosen on labels that the teacher was not trained on, and there are none: add "
            "a 'validation' role, cross-fit the teacher, or set 'labelled.target.imitation' to a number."
        )
    if not isinstance(method.noise, Noiseless) or method.needs_held_out:
        raise InputError(
            "The teacher was trained on the labelled examples, so a 'validation' role of other labelled examples "
            "is needed to estimate its errors; add one, or cross-fit the teacher."
        )


def learnable(method: Method, answers: Answers) -> Bool[Tensor, "N"]:
    """Which answers to pool examples say what a method learns from: a likeliest class, a set, or all probabilities.

    Where all classes are equally likely, a target, weight, loss or selector that goes by the likeliest one would take
    the first for it. Plain soft targets are then all classes alike; any other method leaves such an example out.

    Args:
        method: The method.
        answers: [N], the teacher's.

    Example:
        >>> from overproof.answers.predictions import compress
        >>> from overproof.methods.published import hard, soft
        >>> answers = compress(torch.tensor([[0.5, 0.5], [0.2, 0.8]]))
        >>> learnable(hard(), answers).tolist(), learnable(soft(), answers).tolist()
        ([False, True], [True, True])
    """
    if isinstance(method.noise, AnswerSets):
        # A set of all classes is an answer, and no answer is no set.
        return answers.answered
    soft = isinstance(method.pool.target, Soft) and isinstance(method.pool.weight, Uniform)
    evenly = soft and isinstance(method.pool.loss, CrossEntropy | TemperedDivergence | GeneralizedCrossEntropy)
    if evenly and isinstance(method.select, Everything):
        return torch.ones(len(answers), dtype=torch.bool)
    return answers.names_class
