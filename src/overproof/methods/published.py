"""The published methods by name, each composed of parts in a few lines."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from overproof.errors import InputError
from overproof.methods.composition import Method, Objective
from overproof.methods.losses import (
    AdaptationMatrix,
    AnswerLikelihood,
    ForwardCorrection,
    GeneralizedCrossEntropy,
    StudentLabelMixing,
    TemperedDivergence,
)
from overproof.methods.noise_models import AnswerSets, Conditional, Noiseless
from overproof.methods.search import Search
from overproof.methods.selectors import Confident, Nothing
from overproof.methods.targets import Calibrated, Given, Hard, Powered, Rectified, SelfDistilled, Soft, TopCandidates
from overproof.methods.weights import Consensus, Debiased, Fidelity
from overproof.papers import (
    BORN_AGAIN_2018,
    CANDIST_2025,
    DFND_2021,
    FIDELITY_2018,
    FORWARD_2017,
    GCE_2018,
    HINTON_2015,
    PARTIAL_LABEL_2024,
    PREDICTION_POWERED_2025,
    RETRAINING_2024,
    SELF_DISTILLATION_2023,
    SEMIPARAMETRIC_2021,
    SLAM_2023,
    WD_2022,
    Paper,
)
from overproof.registry import entries, lookup, register

CONVENTIONAL = ("hard", "soft")
"""The rows every method is compared with, in every table of a run with a pool."""

CONVENTIONAL_WITHOUT_POOL = ("labelled_only", "born_again")
"""The same for a run without a pool: training on the given labels, and plain self-distillation."""


@register("method", "labelled_only", paper=None)
def labelled_only() -> Method:
    """Training on the labelled examples without the pool: the reference that distillation must beat."""
    return Method(noise=Noiseless(), select=Nothing())


@register("method", "hard", paper=HINTON_2015)
def hard() -> Method:
    """Conventional distillation: cross-entropy with the teacher's top class."""
    return Method(noise=Noiseless())


@register("method", "soft", paper=HINTON_2015)
def soft() -> Method:
    """Conventional distillation: cross-entropy with the teacher's probabilities."""
    return Method(noise=Noiseless(), pool=Objective(target=Soft()))


@register("method", "hard_tuned", paper=None)
def hard_tuned() -> Method:
    """`hard` with learning rate and weight decay chosen on labelled examples out of sample."""
    return Method(noise=Noiseless(), search=_tuned("hard"))


@register("method", "soft_tuned", paper=None)
def soft_tuned() -> Method:
    """`soft` with learning rate and weight decay chosen on labelled examples out of sample."""
    return Method(noise=Noiseless(), search=_tuned("soft"))


@register("method", "labelled_only_tuned", paper=None)
def labelled_only_tuned() -> Method:
    """`labelled_only` with learning rate and weight decay chosen on labelled examples out of sample."""
    return Method(noise=Noiseless(), search=_tuned("labelled_only"))


@register("method", "auto", paper=None)
def auto() -> Method:
    """The method, the learning rate and the balance of classes, all chosen on labelled examples out of sample."""
    return Method(noise=Noiseless(), search=Search())


def _tuned(name: str) -> Search:
    rates, decays = (1.0, 0.25, 0.0625, 4.0), (1.0, 10.0)
    return Search(methods=(name,), learning_rates=rates, weight_decays=decays, balanced=False, rounds=0)


@register("method", "soft_tempered", paper=HINTON_2015)
def soft_tempered() -> Method:
    """Conventional distillation with a temperature: KL divergence of the softened distributions."""
    return Method(noise=Noiseless(), pool=Objective(target=Soft(), loss=TemperedDivergence()))


@register("method", "calibrated_soft", paper=None)
def calibrated_soft() -> Method:
    """Cross-entropy with a target whose top class has the teacher's estimated accuracy as its probability."""
    return Method(pool=Objective(target=Calibrated()))


@register("method", "fidelity", paper=FIDELITY_2018)
def fidelity() -> Method:
    """Hard labels, weighted by the teacher's estimated accuracy on each example."""
    return Method(pool=Objective(weight=Fidelity()))


@register("method", "wd", paper=WD_2022)
def wd() -> Method:
    """Weighted distillation: hard labels with debiasing weights re-estimated every epoch (ratio of mean losses)."""
    return Method(pool=Objective(target=Hard(), weight=Debiased()))


@register("method", "wd_soft", paper=WD_2022)
def wd_soft() -> Method:
    """Weighted distillation of the teacher's probabilities."""
    return Method(pool=Objective(target=Soft(), weight=Debiased()))


@register("method", "wd_separate", paper=WD_2022)
def wd_separate() -> Method:
    """Weighted distillation with separate estimates of error and distortion."""
    return Method(pool=Objective(target=Hard(), weight=Debiased(estimator="separate")))


@register("method", "wd_agreement", paper=WD_2022)
def wd_agreement() -> Method:
    """Weighted distillation whose weights also depend on whether the student agrees with the teacher; up to ten."""
    return Method(pool=Objective(target=Hard(), weight=Debiased(student_covariate="agreement", cap=10.0)))


@register("method", "wd_agreement_soft", paper=WD_2022)
def wd_agreement_soft() -> Method:
    """The same on the teacher's probabilities; best with early stopping on held-out labels (`early_stop_epochs`)."""
    return Method(pool=Objective(target=Soft(), weight=Debiased(student_covariate="agreement", cap=10.0)))


@register("method", "slam", paper=SLAM_2023)
def slam() -> Method:
    """Student-label mixing on hard labels, un-normalised as in the paper's experiments."""
    return Method(pool=Objective(target=Hard(), loss=StudentLabelMixing()))


@register("method", "slam_soft", paper=SLAM_2023)
def slam_soft() -> Method:
    """Student-label mixing on the teacher's probabilities."""
    return Method(pool=Objective(target=Soft(), loss=StudentLabelMixing()))


@register("method", "slam_normalized", paper=SLAM_2023)
def slam_normalized() -> Method:
    """Student-label mixing on hard labels with the exact distribution of the noisy label."""
    return Method(pool=Objective(target=Hard(), loss=StudentLabelMixing(normalized=True)))


@register("method", "slam_auto", paper=SLAM_2023)
def slam_auto() -> Method:
    """Student-label mixing on hard labels: as `slam`, normalised where an estimated accuracy comes near one half."""
    return Method(pool=Objective(target=Hard(), loss=StudentLabelMixing(normalized="auto")))


@register("method", "forward", paper=FORWARD_2017)
def forward() -> Method:
    """Forward correction: the student predicts the pseudo-label through the estimated transition matrix."""
    return Method(pool=Objective(target=Hard(), loss=ForwardCorrection()))


@register("method", "likelihood", paper=FORWARD_2017)
def likelihood() -> Method:
    """Forward correction whose confusions also depend on the teacher's margin and entropy, where the labels show it."""
    return Method(noise=Conditional(), pool=Objective(target=Hard(), loss=AnswerLikelihood()))


@register("method", "answer_sets", paper=CANDIST_2025)
def answer_sets() -> Method:
    """For a teacher that names every class that may hold: what each set of classes says is learned from the labels."""
    return Method(noise=AnswerSets(), pool=Objective(target=Hard(), loss=AnswerLikelihood()))


@register("method", "prediction_powered", paper=PREDICTION_POWERED_2025)
def prediction_powered() -> Method:
    """Labels correct the teacher's systematic mistakes, without a noise model; needs weight decay of its own."""
    return Method(noise=Noiseless(), labelled=Objective(target=Rectified()), pool=Objective(target=Powered()))


@register("method", "prediction_powered_bounded", paper=SEMIPARAMETRIC_2021)
def prediction_powered_bounded() -> Method:
    """The same with a bounded correction by each label."""
    labelled = Objective(target=Rectified(power=1.0, bounded=True))
    return Method(noise=Noiseless(), labelled=labelled, pool=Objective(target=Powered(power=1.0)))


@register("method", "dfnd", paper=DFND_2021)
def dfnd() -> Method:
    """Students in the wild: the most confident predictions, with a learned matrix of the teacher's mistakes."""
    return Method(select=Confident(), pool=Objective(target=Soft(), loss=AdaptationMatrix()))


@register("method", "born_again", paper=BORN_AGAIN_2018)
def born_again() -> Method:
    """Plain self-distillation, ξ = 1: the teacher's probabilities on the labelled examples, no pool."""
    return Method(noise=Noiseless(), select=Nothing(), labelled=Objective(target=Soft()))


@register("method", "self_distilled", paper=SELF_DISTILLATION_2023)
def self_distilled() -> Method:
    """Self-distillation with ξ chosen on held-out labels: ξ times the prediction plus (1 - ξ) times the given label."""
    return Method(noise=Noiseless(), select=Nothing(), labelled=Objective(target=SelfDistilled(imitation="auto")))


@register("method", "retrained", paper=RETRAINING_2024)
def retrained() -> Method:
    """Retraining on the teacher's top class for every labelled example."""
    return Method(noise=Noiseless(), select=Nothing(), labelled=Objective(target=Hard()))


@register("method", "consensus", paper=RETRAINING_2024)
def consensus() -> Method:
    """Retraining only on the given labels that the teacher agrees with."""
    return Method(noise=Noiseless(), select=Nothing(), labelled=Objective(target=Given(), weight=Consensus()))


@register("method", "partial_label", paper=PARTIAL_LABEL_2024)
def partial_label() -> Method:
    """The two most likely classes as a partial label, generalised cross-entropy, initialised by the teacher."""
    objective = Objective(target=TopCandidates(), loss=GeneralizedCrossEntropy())
    return Method(noise=Noiseless(), select=Nothing(), labelled=objective, initial="teacher")


@register("method", "labelled_gce", paper=GCE_2018)
def labelled_gce() -> Method:
    """Training on the given labels with generalised cross-entropy: robustness without a teacher."""
    objective = Objective(target=Given(), loss=GeneralizedCrossEntropy())
    return Method(noise=Noiseless(), select=Nothing(), labelled=objective)


def method(name: str) -> Method:
    """The method of that name with its default options.

    Raises:
        InputError: There is none of that name.
    """
    made = lookup("method", name).make()
    assert isinstance(made, Method)
    return made


def method_given(given: Any) -> Method:
    """The method that was given, by its name or as one.

    Args:
        given: What the argument `method` is.

    Raises:
        InputError: It is neither, or there is none of that name.

    Example:
        >>> method_given("slam") == method_given(method("slam")) == method("slam")
        True
    """
    if not isinstance(given, str | Method):
        raise InputError(
            f"method is of type {type(given).__name__}; give one name, such as "
            f"method='auto', or a method composed of parts."
        )
    return method(given) if isinstance(given, str) else given


def reads_labelled_answers(built: Method) -> bool:
    """Whether a method, or a candidate of its search, learns from the teacher's answers to labelled examples.

    Args:
        built: The method.

    Example:
        >>> reads_labelled_answers(method("born_again")), reads_labelled_answers(method("auto"))
        (True, False)
    """
    candidates = [built] if built.search is None else [method(name) for name in built.search.methods]
    return any(each.reads_labelled_answers for each in candidates)


def plain_row(built: Method, *, pooled: bool) -> str:
    """The reference or conventional row that a method is, whatever it is called; empty where it is none of them.

    Decided by its parts: an option that changes target, weight, loss, selection, first weights or generations makes a
    method of `hard`. The noise model does not count, because no part of these rows uses it. A search for learning rate
    and weight decay alone is the row with `_tuned` behind its name.

    Args:
        built: The method.
        pooled: Whether the run has a pool.

    Example:
        >>> from overproof.methods.composition import override
        >>> plain_row(method("hard"), pooled=True)
        'hard'
        >>> plain_row(override(method("hard"), "pool.target", "soft"), pooled=True)
        'soft'
        >>> plain_row(override(method("hard"), "pool.weight", "fidelity"), pooled=True)
        ''
        >>> plain_row(method("hard_tuned"), pooled=True), plain_row(method("auto"), pooled=True)
        ('hard_tuned', '')
    """
    if (search := built.search) is not None:
        alone = len(search.methods) == 1 and not search.balanced and not search.rounds
        return f"{search.methods[0]}_tuned" if alone and search.methods[0] in ("labelled_only", *CONVENTIONAL) else ""
    for name in dict.fromkeys(("labelled_only", *(CONVENTIONAL if pooled else CONVENTIONAL_WITHOUT_POOL))):
        same = method(name)
        if replace(built, noise=same.noise) == same:
            return name
    return ""


def method_names() -> tuple[str, ...]:
    """All method names, references first."""
    return tuple(entry.name for entry in entries("method"))


def papers_of(rows: Iterable[tuple[str, Method]]) -> list[Paper]:
    """The papers of some methods and all their parts, each once.

    Args:
        rows: Names of registered methods, each with the method as it was built.
    """
    found: dict[str, Paper] = {}
    for name, built in rows:
        for entry in (lookup("method", name), *built.registered()):
            if entry.paper is not None:
                found.setdefault(entry.paper.key, entry.paper)
    return list(found.values())
