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
from overproof.contract import Batch, Extrapolating, Loss, Memory, PerExample, Refreshing, Remembering, Target, Weight
from overproof.errors import InputError, suggest
from overproof.methods.losses import CrossEntropy, GeneralizedCrossEntropy, TemperedDivergence
from overproof.methods.noise_models import Isotonic
from overproof.methods.search import Search
from overproof.methods.selectors import Everything, Selector
from overproof.methods.targets import Given, Hard, Powered, Rectified, SelfDistilled
from overproof.methods.weights import ClassBalanced, Uniform
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
        return replace(batch, target_probs=self.target(_with_memory(batch, memories[f"{side}.target"])))

    def terms(self, batch: Batch, memories: Memories, side: Side) -> tuple[Batch, PerExample]:
        """Everything but the loss: the batch with the target of this objective, and the weight of every example.

        Args:
            batch: Examples of one side, the student's logits without gradient: targets and weights have none.
            memories: The state of every part of the method.
            side: The side of the method that this objective is.
        """
        matched = self.matched(batch, memories, side)
        return matched, self.weight(_with_memory(matched, memories[f"{side}.weight"])).detach()


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
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

    def __call__(self, batch: Batch, memories: Memories, num_labelled: int) -> tuple[PerExample, PerExample]:
        """Loss and weight of every example of a batch, labelled ones first; only the loss has a gradient.

        If labelled and pool examples have the same loss, it is computed once for all of them, which halves the time of
        the backward pass.
        """
        first, rest = slice(0, num_labelled), slice(num_labelled, None)
        # Targets and weights have no gradient, and slices of a tensor with one cost a copy in the backward pass.
        detached = replace(batch, student_logits=batch.student_logits.detach())
        labelled, labelled_weight = self.labelled.terms(_part(detached, first), memories, "labelled")
        pool, pool_weight = self.pool.terms(_part(detached, rest), memories, "pool")
        weight = torch.cat([labelled_weight, pool_weight])
        learned = memories["labelled.loss"] or memories["pool.loss"]
        if self.labelled.loss == self.pool.loss and not learned:
            target_probs = torch.cat([labelled.target_probs, pool.target_probs])
            return self.pool.loss(replace(batch, target_probs=target_probs)), weight
        logits = batch.student_logits
        losses = [
            self.labelled.loss(replace(labelled, student_logits=logits[first], memory=memories["labelled.loss"])),
            self.pool.loss(replace(pool, student_logits=logits[rest], memory=memories["pool.loss"])),
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
                refreshed[path] = part.refresh(memories[path], replace(batch, memory=memories[path]))
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
    return replace(batch, memory=memory) if memory or batch.memory else batch


def _part(batch: Batch, rows: slice) -> Batch:
    per_example = {f.name: getattr(batch, f.name)[rows] for f in fields(batch) if f.name not in SHARED_FIELDS}
    return replace(batch, **per_example, side_share=len(per_example["label"]) / max(len(batch.label), 1))


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
