"""The search: candidates are cross-validated on labelled examples one step after another, and one of them is chosen."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from overproof.errors import InputError
from overproof.functional.repeats import Repeats, standard_error
from overproof.methods.composition import Method
from overproof.methods.search import Search
from overproof.noise import log_loss, members, same_margins, stacked_out_of_fold
from overproof.seeds import derived_seed
from overproof.training.examples import TrainingData
from overproof.training.options import TrainOptions, num_steps
from overproof.training.search.candidates import (
    ANSWER_SETS,
    LABELLED_ONLY,
    PRIOR,
    PRIOR_VERSION,
    Candidate,
    neighbours,
    preferred,
    regime,
)
from overproof.training.search.cross_validation import CrossValidation, Trial
from overproof.training.search.record import SearchRecord, Tried

USED_UP = "the budget is used up"

NUM_FOLDS = 2
"""Students of a candidate; each is trained on half of the pool, so that a candidate costs one training."""

CLEAR = 4.0
"""Standard errors by which a learning rate is clearly worse, so that other methods are not tried at it."""

NOTHING = 1e-3
"""Probability up to which the other classes are not named."""

FEWEST = 50
"""Fewer independent labelled examples than this cannot choose: the standard error of a share is then above .07."""


_Filter = Callable[[Iterable[Candidate]], list[Candidate]]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Chosen:
    """The result of a search.

    Args:
        method: To train the student by.
        train: How to train it.
        record: What was tried, and why this was chosen.
    """

    method: Method
    train: TrainOptions
    record: SearchRecord


@dataclass(kw_only=True, slots=True, eq=False)
class _Scores:
    """The log-loss of the students of every candidate that was tried, on each example that is judged.

    Args:
        loss: [J] by candidate, calibrated; of repeated content the first example.
        right: [J] by candidate, whether the student's class is the label.
        repeats: Which of the J examples depend on each other.
    """

    loss: dict[Candidate, Float[Tensor, "J"]] = field(default_factory=dict)
    right: dict[Candidate, Bool[Tensor, "J"]] = field(default_factory=dict)
    repeats: Repeats

    def best(self, candidates: Iterable[Candidate] | None = None) -> Candidate:
        """The candidate with the lowest mean log-loss; of equal ones the first that was tried."""
        return min(self.loss if candidates is None else candidates, key=lambda each: self.loss[each].mean().item())

    def behind(self, candidate: Candidate) -> tuple[float, float]:
        """How far a candidate's mean log-loss is above the lowest, and the standard error of that difference."""
        best = self.best()
        if candidate == best:
            return 0.0, 0.0
        difference = self.loss[candidate] - self.loss[best]
        return difference.mean().item(), standard_error(difference, self.repeats)


def choose(validation: CrossValidation, search: Search, options: TrainOptions, *, costs: float = 0.0) -> Chosen:
    """Choose method and training options on labelled examples that neither teacher nor student was trained on.

    First the usual method for this kind of teacher and labels alone are tried, then changes of the training options,
    then the other methods with the best of them, each step from the best so far, for as long as the budget lasts
    (`_explore`). Students are compared by their log-loss on the
    judged examples, each calibrated by a temperature that is fitted without the example. Of the candidates whose
    log-loss is within `standard_errors` of the lowest, the one is chosen that comes first in `preferred`.

    Args:
        validation: Trains and judges the students of a candidate.
        search: The candidates and the budget.
        options: How students are trained, before any change.
        costs: What is spent of the budget already, such as on peer rounds.

    Raises:
        InputError: No candidate can be trained with these data and options.

    Source: Stone (1974), cross-validation; Breiman et al. (1984), Classification and regression trees, section 3.4
        (the one-standard-error rule).
    """
    student, data = validation.fresh(), validation.data
    # Parts of the pool take a part of the steps, so the number of epochs is that of the whole.
    epochs = options.num_epochs(num_steps(options, len(data.labelled), len(data.pool)))
    options = options.model_copy(update={"epochs": epochs})
    hard_labels = has_hard_labels(data)
    sets = not hard_labels and has_sets(data)
    found = regime(hard_labels=hard_labels, sets=sets, num_classes=data.pool.answers.num_classes)
    left_out = list[tuple[str, str]]()
    once = validation.repeats.once
    scores = _Scores(repeats=validation.repeats.take(once))

    def possible(candidates: Iterable[Candidate]) -> list[Candidate]:
        """Those that can be trained and are not tried yet; the others with the reason are left out once."""
        kept = []
        for each in candidates:
            if each in scores.loss or each.name in dict(left_out):
                continue
            why = each.problem(
                student, options, unseen=data.trust_labelled_answers, validation=data.validation is not None
            )
            if hard_labels and each.method == "soft" and "hard" in search.methods:
                why = "with hard labels it is the same as 'hard'"
            if not sets and each.method == ANSWER_SETS:
                why = "the teacher does not answer with sets of classes"
            if why:
                left_out.append((each.name, why))
            else:
                kept.append(each)
        return kept

    methods = possible(Candidate(method=name) for name in search.methods)
    if not methods:
        raise InputError(
            f"Of the methods to choose from ({', '.join(search.methods)}) none can be trained here: {left_out[0][1]}"
        )
    num_judged = scores.repeats.num_groups
    share = 1 / validation.num_folds if validation.num_folds > 1 else 1.0
    each_costs = validation.num_folds * validation.num_pool(share) / max(len(data.pool), 1)
    most = int((search.budget - costs) / each_costs + 1e-9)

    def trial_of(each: Candidate) -> Trial:
        train = options.model_copy(update=each.train(options, student))
        return Trial(method=each.build(), train=train, pool_share=share)

    def tries(candidates: Iterable[Candidate]) -> list[Candidate]:
        """Try as many of the candidates as the budget allows."""
        new = [each for each in candidates if each not in scores.loss]
        affordable = new[: max(0, most - len(scores.loss))]
        left_out.extend((each.name, USED_UP) for each in new[len(affordable) :])
        for each, probs in zip(affordable, validation.probs([trial_of(one) for one in affordable]), strict=True):
            calibrated = stacked_out_of_fold(
                [probs], validation.label, seed=derived_seed(validation.seed, "calibration"), repeats=validation.repeats
            )
            scores.loss[each] = log_loss(calibrated, validation.label)[once]
            scores.right[each] = (probs.argmax(dim=1) == validation.label)[once]
        return affordable

    few = num_judged < FEWEST or most < 1
    if not few:
        _explore(scores, search, preferred(methods, PRIOR[found]), possible, tries)
    order = preferred(list(scores.loss) or methods, PRIOR[found])
    chosen, reason = _decided(scores, search, order) if not few else (order[0], _too_few(num_judged, most, found))
    return Chosen(
        method=chosen.build(),
        train=options.model_copy(update=chosen.train(options, student)),
        record=SearchRecord(
            chosen=chosen.name,
            reason=reason,
            row={
                "method": chosen.method,
                **({"options": found_options} if (found_options := chosen.options()) else {}),
                **({"train": changed} if (changed := chosen.train(options, student)) else {}),
            },
            tried=tuple(
                Tried(
                    name=each.name,
                    log_loss=round(scores.loss[each].mean().item(), 6),
                    accuracy=round(scores.right[each].double().mean().item(), 6),
                    behind=round(scores.behind(each)[0], 6),
                    standard_error=round(scores.behind(each)[1], 6),
                )
                for each in sorted(scores.loss, key=lambda one: scores.loss[one].mean().item())
            ),
            left_out=tuple(left_out),
            num_judged=num_judged,
            num_folds=validation.num_folds,
            pool_share=round(share, 6),
            cost=round(len(scores.loss) * each_costs, 6),
            regime=found,
            prior_version=PRIOR_VERSION,
            too_few=few,
        ),
    )


def has_hard_labels(data: TrainingData) -> bool:
    """Whether all answers of the teacher have the same margin, as hard labels have.

    Args:
        data: With the answers.
    """
    return same_margins(torch.cat([each.answered.answers.margin for each in data.by_role.values()]))


def has_sets(data: TrainingData) -> bool:
    """Whether all answers of the teacher are sets of equally likely classes, some of more than one.

    Args:
        data: With the answers.
    """
    sizes = list[Tensor]()
    for answers in (each.answered.answers for each in data.by_role.values()):
        probs = answers.class_probs.float()
        named = members(probs)
        if not bool((probs.where(~named, 0.0).sum(dim=1) + answers.residual < NOTHING).all()):
            return False
        sizes.append(named.sum(dim=1))
    return bool((torch.cat(sizes) > 1).any())


def _explore(scores: _Scores, search: Search, methods: Sequence[Candidate], possible: _Filter, tries: _Filter) -> None:
    """Try candidates one step after another; a step starts at the best candidate so far that uses the teacher.

    The first method and labels alone; the first method's training options, one change at a time, an option upwards
    where downwards is no better; the other methods with the best training options, then at other learning rates that
    were not clearly worse; then single changes of the best of all, for as long as the log-loss falls.
    """
    alone = [each for each in methods if each.method == LABELLED_ONLY]
    taught = [each for each in methods if each.method != LABELLED_ONLY] or alone
    tries(dict.fromkeys((taught[0], *alone)))

    def leader() -> Candidate:
        return scores.best(each for each in scores.loss if each.method != LABELLED_ONLY or taught == alone)

    if not scores.loss:
        return
    if search.balanced:
        tries(possible([replace(leader(), balanced=True)]))
    for option in ("learning_rate", "weight_decay"):
        before = leader()
        for lower in (True, False):
            if leader() == before:
                changed = [each for each in _near(before, search) if getattr(each, option) != getattr(before, option)]
                tries(possible(e for e in changed if (getattr(e, option) < getattr(before, option)) is lower))
    best = leader()
    rates = [best.learning_rate, *sorted(_close_rates(scores, best), reverse=True)]
    for rate in rates:
        tries(possible([replace(best, method=other.method, learning_rate=rate) for other in taught[1:]]))
    while True:
        best = scores.best()
        if not tries(possible(_near(best, search))) or scores.best() == best:
            return


def _close_rates(scores: _Scores, best: Candidate) -> set[float]:
    """Other learning rates at which the method of a candidate is not clearly worse than it."""
    close = set()
    for each in scores.loss:
        if each.method == best.method and each.learning_rate != best.learning_rate:
            difference = scores.loss[each] - scores.loss[best]
            if difference.mean().item() <= CLEAR * standard_error(difference, scores.repeats):
                close.add(each.learning_rate)
    return close


def _near(candidate: Candidate, search: Search) -> list[Candidate]:
    """The neighbours of a candidate in a search."""
    return neighbours(candidate, search.learning_rates, search.weight_decays, balanced=search.balanced)


def _decided(scores: _Scores, search: Search, order: Sequence[Candidate]) -> tuple[Candidate, str]:
    """The first candidate of an order that is as good as the best, and why."""
    best = scores.best()
    for each in order:
        behind, error = scores.behind(each)
        if each == best:
            return each, "its log-loss is the lowest"
        if behind <= search.standard_errors * error:
            return each, (
                f"its log-loss is {behind:.4f} above the lowest, of {best.name}, which is within "
                f"{search.standard_errors:g} standard errors ({error:.4f}); it is the simpler or the more often better"
            )
    raise AssertionError("the best candidate is in the order")


def _too_few(num_judged: int, most: int, found: str) -> str:
    why = (
        "the budget pays for no trial"
        if most < 1
        else f"{num_judged} independent labelled examples are too few to choose ({FEWEST} are needed)"
    )
    return f"{why}, so it is the usual choice for this kind of teacher ({found})"
