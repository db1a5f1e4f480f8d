"""The class `Method`: one objective each for labelled and pool examples, a selector and a noise model.

A published method is a combination of parts; `published.py` lists the combinations by name.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, TypeVar, cast

import torch
from jaxtyping import Float
from torch import Tensor

from overproof.claims import LinearInTheTarget
from overproof.contract import (
    Batch,
    DeferredBatch,
    Extrapolating,
    Loss,
    Memory,
    PerExample,
    Preparing,
    Refreshing,
    Remembering,
    Target,
    Weight,
    changed,
)
from overproof.errors import InputError, suggest
from overproof.methods.in_short import in_short
from overproof.methods.losses import CrossEntropy, GeneralizedCrossEntropy, StudentLabelMixing, TemperedDivergence
from overproof.methods.noise_models import Isotonic
from overproof.methods.search import Search
from overproof.methods.selectors import Everything, Selector
from overproof.methods.settled import NOT_SETTLED, Settled
from overproof.methods.targets import Calibrated, Given, Hard, Powered, Rectified, SelfDistilled, Soft, TopCandidates
from overproof.methods.weights import ClassBalanced, Consensus, Fidelity, Uniform
from overproof.noise import NoiseModel
from overproof.options import Count, checked, checked_value, plain_options
from overproof.registry import Entry, entry_of, kind_of, lookup

SHARED_FIELDS = ("transition", "side_share", "memory")
"""The fields of a `Batch` that are not one row per example."""

Memories = Mapping[str, Memory]
"""The state of every part of a method, by the part's path, such as `pool.weight`."""

Side = Literal["labelled", "pool"]
"""The two kinds of example that a method has an objective for."""

Node = TypeVar("Node")

_LABELS_ALONE = (Given, Uniform, ClassBalanced, CrossEntropy, GeneralizedCrossEntropy, TemperedDivergence)
"""Targets, weights and losses that read of a labelled example its label alone."""

_OF_A_ROW = (Given, Hard, Soft, Calibrated, TopCandidates, SelfDistilled, Uniform, ClassBalanced, Fidelity, Consensus)
"""Targets and weights that depend on what is stored of an example alone: not on the student, a memory or the batch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """The objective of labelled or of pool examples: weight times loss of the student with respect to the target.

    Args:
        target: The distribution the student is trained to match.
        weight: How much each example counts.
        loss: The comparison of student and target.

    Raises:
        InputError: A target that mixes label and prediction with a loss that is not linear in the target.
    """

    target: Target = field(default_factory=Hard)
    weight: Weight = field(default_factory=Uniform)
    loss: Loss = field(default_factory=CrossEntropy)

    def __post_init__(self) -> None:
        if isinstance(self.target, Extrapolating) and not _linear_in_the_target(self.loss):
            raise InputError(
                f"Target {type(self.target).__name__} mixes label and answer, which equals a mix of two losses only "
                f"if the loss is linear in the target; {type(self.loss).__name__} is not."
            )

    def matched(self, batch: Batch, memories: Memories, side: Side) -> Batch:
        """The batch with the target of this objective."""
        return changed(batch, target_probs=self.target(_with_memory(batch, memories[f"{side}.target"])))

    def terms(self, batch: Batch, memories: Memories, side: Side) -> tuple[Batch, PerExample]:
        """Everything but the loss: the batch with the target of this objective, and the weight of every example.

        Args:
            batch: Examples of one side, the student's logits without gradient: targets and weights have none.
            memories: The state of every part of the method.
            side: The side of the method that this objective is.
        """
        matched = self.matched(batch, memories, side)
        return matched, self.weighted(matched, memories, side)

    def weighted(self, matched: Batch, memories: Memories, side: Side, prepared: Tensor | None = None) -> PerExample:
        """The weight of every example of a batch with its target.

        Args:
            matched: The batch.
            memories: The state of every part of the method.
            side: The side of the method that this objective is.
            prepared: [B], what the weight has prepared, where it has.
        """
        memory = memories[f"{side}.weight"]
        # `isinstance` with a protocol takes as long as a weight.
        if prepared is not None and hasattr(self.weight, "prepare"):
            memory = {**memory, "prepared": prepared}
        return self.weight(_with_memory(matched, memory)).detach()


@checked
@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Method:
    """The parts of a method.

    Args:
        noise: Estimates the teacher's errors from its out-of-sample predictions on labelled examples.
        select: Selects the examples of the pool that are used.
        labelled: Objective of labelled examples; by default cross-entropy with their label.
        pool: Objective of pool examples.
        initial: The student's initial weights: `fresh`, or those of the `teacher`, which then must be of its kind.
        generations: Number of students trained one after another, each of which predicts the labelled examples for the
            next one; the last one is the result.
        search: Candidates of which one is chosen on labelled examples in place of this method; None trains this one.

    Raises:
        InputError: Fewer than one generation.
    """

    noise: NoiseModel = field(default_factory=Isotonic)
    select: Selector = field(default_factory=Everything)
    labelled: Objective = field(default_factory=lambda: Objective(target=Given()))
    pool: Objective = field(default_factory=Objective)
    initial: Literal["fresh", "teacher"] = "fresh"
    generations: Count = 1
    search: Search | None = None

    def __repr__(self) -> str:
        """The name of a published method, or what differs from a plain one: parts with the options that are set."""
        return in_short(self, type(self)())

    def parts(self) -> Iterator[tuple[str, Any]]:
        """Every target, weight and loss with its path."""
        for side in ("labelled", "pool"):
            for role in ("target", "weight", "loss"):
                yield f"{side}.{role}", getattr(getattr(self, side), role)

    @property
    def needs_held_out(self) -> bool:
        """Whether a part needs labelled examples that the student does not train on."""
        return any(isinstance(part, Refreshing) for _, part in self.parts())

    @property
    def reads_labelled_answers(self) -> bool:
        """Whether a student learns from the teacher's answers to labelled examples, which need some then.

        A part of one's own counts as one that does.
        """
        labelled = self.labelled
        return not all(isinstance(part, _LABELS_ALONE) for part in (labelled.target, labelled.weight, labelled.loss))

    @property
    def extrapolates(self) -> bool:
        """Whether a target may have negative entries, which requires weight decay."""
        return any(isinstance(part, Extrapolating) and part.extrapolates for _, part in self.parts())

    @property
    def rectified(self) -> tuple[float, float] | None:
        """The powers of a prediction-powered method on labelled and on pool examples, else None.

        The teacher's predictions on the labelled examples must be out of sample then, and both powers the same.
        """
        labelled, pool = self.labelled.target, self.pool.target
        if not isinstance(labelled, Rectified) and not isinstance(pool, Powered):
            return None
        return (
            labelled.power if isinstance(labelled, Rectified) else 0.0,
            pool.power if isinstance(pool, Powered) else 0.0,
        )

    @property
    def sought(self) -> SelfDistilled | None:
        """The target of the labelled examples if its ξ has to be chosen on held-out labels, else None."""
        target = self.labelled.target
        return target if isinstance(target, SelfDistilled) and target.imitation == "auto" else None

    @property
    def num_trainings(self) -> int:
        """Minimal number of students to train for one result; more than two if ξ has to be chosen.

        Of a search it is the most that its budget allows.
        """
        if self.search is not None:
            return 1 + math.ceil(self.search.budget)
        return self.generations + (self.sought is not None)

    def with_imitation(self, imitation: float) -> "Method":
        """The same with that ξ."""
        return override(self, "labelled.target.imitation", imitation)

    @property
    def target_of_a_row(self) -> bool:
        """Whether both targets depend on what is stored of an example alone."""
        return all(type(side.target) in _OF_A_ROW for side in (self.labelled, self.pool))

    @property
    def weight_of_a_row(self) -> bool:
        """Whether both weights depend on what is stored of an example alone."""
        return all(type(side.weight) in _OF_A_ROW for side in (self.labelled, self.pool))

    @property
    def mixes_all(self) -> bool:
        """Whether the pool's loss is the labelled examples' too, at an accuracy of one: a mix beside cross-entropy."""
        return type(self.pool.loss) is StudentLabelMixing and type(self.labelled.loss) is CrossEntropy

    @property
    def settles(self) -> bool:
        """Whether there is anything that the steps need not compute."""
        prepared = any(isinstance(side.weight, Preparing) for side in (self.labelled, self.pool))
        return self.target_of_a_row or self.weight_of_a_row or self.mixes_all or prepared

    def settled(self, batch: Batch, side: Side) -> Settled:
        """What the steps need not compute of examples of one side, whatever the student says.

        Args:
            batch: The examples.
            side: The side of all of them.
        """
        objective: Objective = getattr(self, side)
        of_loss = of_weight = None
        if self.mixes_all and isinstance(self.pool.loss, StudentLabelMixing):
            sure = torch.ones_like(batch.teacher_accuracy)
            of_loss = self.pool.loss.prepare(batch if side == "pool" else changed(batch, teacher_accuracy=sure))
        if any(isinstance(each.weight, Preparing) for each in (self.labelled, self.pool)):
            weight = objective.weight
            none = torch.zeros_like(batch.teacher_accuracy)
            of_weight = weight.prepare(batch) if isinstance(weight, Preparing) else none
        return Settled(
            target_probs=objective.target(batch) if self.target_of_a_row else None,
            weight=objective.weight(batch) if self.weight_of_a_row else None,
            of_loss=of_loss,
            of_weight=of_weight,
        )

    def __call__(
        self, batch: Batch, memories: Memories, num_labelled: int, settled: Settled = NOT_SETTLED
    ) -> tuple[PerExample, PerExample]:
        """Loss and weight of every example of a batch, labelled ones first; only the loss has a gradient.

        If labelled and pool examples have the same loss, it is computed once for all of them, which halves the time of
        the backward pass.

        Args:
            batch: The examples.
            memories: The state of every part.
            num_labelled: Number of labelled examples in the batch.
            settled: Target and weight, where they are known before the step.
        """
        first, rest = slice(0, num_labelled), slice(num_labelled, None)
        weight, learned = settled.weight, memories["labelled.loss"] or memories["pool.loss"]
        target_known = settled.target_probs is not None
        whole = changed(batch, target_probs=settled.target_probs) if target_known else batch
        mixed = settled.of_loss is not None
        same = mixed or (self.labelled.loss == self.pool.loss and not learned)
        if not (same and target_known and weight is not None):
            # Targets and weights have no gradient, and slices of a tensor with one cost a copy in the backward pass.
            detached = changed(whole, student_logits=batch.student_logits.detach())
            parts = _part(detached, first), _part(detached, rest)
            sides: tuple[Side, Side] = ("labelled", "pool")
            matched = [
                part if target_known else getattr(self, side).matched(part, memories, side)
                for side, part in zip(sides, parts, strict=True)
            ]
            if not target_known:
                whole = changed(batch, target_probs=torch.cat([part.target_probs for part in matched]))
            if weight is None:
                ready = (
                    (None, None) if settled.of_weight is None else (settled.of_weight[first], settled.of_weight[rest])
                )
                weight = torch.cat(
                    [
                        getattr(self, side).weighted(part, memories, side, prepared)
                        for side, part, prepared in zip(sides, matched, ready, strict=True)
                    ]
                )
        assert weight is not None
        if same:
            return self.pool.loss(changed(whole, memory={"prepared": settled.of_loss}) if mixed else whole), weight
        logits = batch.student_logits
        losses = [
            self.labelled.loss(changed(matched[0], student_logits=logits[first], memory=memories["labelled.loss"])),
            self.pool.loss(changed(matched[1], student_logits=logits[rest], memory=memories["pool.loss"])),
        ]
        return torch.cat(losses), weight

    def start(self, transition: Float[Tensor, "K K"]) -> Memories:
        """The memory of every part before the first step."""
        return {path: part.start(transition) if isinstance(part, Remembering) else {} for path, part in self.parts()}

    def refresh(self, memories: Memories, held_out: Batch) -> Memories:
        """Refresh every part that uses held-out examples, each with the target of its own objective."""
        refreshed = dict(memories)
        for path, part in self.parts():
            if isinstance(part, Refreshing):
                side = path.partition(".")[0]
                batch = getattr(self, side).matched(held_out, memories, side)
                refreshed[path] = part.refresh(memories[path], changed(batch, memory=memories[path]))
        return refreshed

    def described(self) -> dict[str, str]:
        """Its parts with their options, by the path that changes them."""
        parts = {"noise": self.noise, "select": self.select, **dict(self.parts())}
        if self.search is not None:
            return {"search": repr(self.search)}
        others = {"initial": self.initial} if self.initial != "fresh" else {}
        return {path: repr(part) for path, part in {**parts, **others}.items()}

    def registered(self) -> tuple[Entry, ...]:
        """The entries of all parts, noise model and selector included."""
        return tuple(entry_of(part) for part in (self.noise, self.select, *(part for _, part in self.parts())))


def _linear_in_the_target(loss: Loss) -> bool:
    """Whether the check of the claim passes, so that a custom loss needs no registration."""
    try:
        LinearInTheTarget().check(loss)
    except AssertionError:
        return False
    return True


def _with_memory(batch: Batch, memory: Memory) -> Batch:
    # Most parts have none, and a copy costs as much as a loss on a small batch.
    return changed(batch, memory=memory) if memory or batch.memory else batch


def _part(batch: Batch, rows: slice) -> Batch:
    def make(_: Batch, name: str) -> Any:
        value = getattr(batch, name)
        return value if name in SHARED_FIELDS else value[rows]

    whole = len(batch.student_logits)
    return DeferredBatch.of(make, side_share=len(range(whole)[rows]) / max(whole, 1))


def override(node: Node, path: str, value: Any, *, whole_path: str | None = None) -> Node:
    """A copy of a frozen tree of dataclasses with one option changed: `override(method, "noise.lower_bound", 0.6)`.

    A part is replaced by its name, alone or with its options: `override(method, "select", "confident")`, or
    `override(method, "select", {"name": "confident", "budget": 20_000})`. Options without a name change the current
    part.

    Raises:
        InputError: No such option or part, or a value of the wrong kind; the message lists the existing ones.
    """
    whole_path = whole_path or path
    head, _, rest = path.partition(".")
    assert is_dataclass(node)
    known = [f.name for f in fields(node)]
    if head not in known:
        if not known:
            raise InputError(f"Option {whole_path!r}: {type(node).__name__} has no options.")
        raise InputError(f"Option {whole_path!r}: {type(node).__name__} has no {head!r}; {suggest(head, known)}.")
    if rest:
        return _with(node, head, override(getattr(node, head), rest, value, whole_path=whole_path))
    if is_dataclass(part := getattr(node, head)):
        return _with(node, head, _changed(part, value, whole_path))
    if head not in plain_options(type(node)):
        raise InputError(f"Option {whole_path!r} is a custom part, which no path can change.")
    return _with(node, head, checked_value(type(node), head, value, repr(whole_path)))


def _changed(part: Node, value: Any, whole_path: str) -> Node:
    """Another part of the same kind by its name, or this one, with some of its options changed."""
    named = {"name": value} if isinstance(value, str) else value
    if not isinstance(named, Mapping):
        raise InputError(
            f"Option {whole_path!r} is {value!r}, but it is a group of options: give the name of a part, options by "
            f"name, or set one of them by its path."
        )
    options = dict(named)
    if "name" in options:
        part = lookup(kind_of(part, whole_path), options.pop("name")).make()
    for option, each in options.items():
        part = override(part, option, each, whole_path=f"{whole_path}.{option}")
    return part


def _with(node: Node, name: str, value: Any) -> Node:
    changed: Node = replace(cast(Any, node), **{name: value})
    return changed
