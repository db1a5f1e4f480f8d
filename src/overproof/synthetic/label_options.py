"""Given labels corrupted on purpose, for experiments: the option, and what it does to the labels of a role."""

from collections.abc import Sequence
from typing import Literal

import pydantic
from jaxtyping import Float, Int
from torch import Tensor

from overproof.errors import InputError
from overproof.registry import suggest
from overproof.synthetic import NoisyLabels, adversarial_noise, asymmetric_noise, hierarchical_noise, symmetric_noise


class LabelNoise(pydantic.BaseModel, frozen=True, extra="forbid"):
    """For experiments: given labels are corrupted by a known law (`overproof.synthetic`).

    The truth is kept for the oracle row and for findings; the test's labels are never touched.

    Args:
        kind: `symmetric` (another class, evenly), `asymmetric` (the class that `class_map` says), `hierarchical`
            (another class of the same group, evenly), `adversarial` (the wrong class that the teacher, cross-fitted on
            the true labels, finds likeliest), or `none`.
        share: Of the examples that can change, in [0, 1].
        include_true: For `symmetric`: draw from all classes, so that only share (K - 1) / K of the labels change.
        exact: Corrupt round(share * examples) of them; otherwise each with probability `share`.
        class_map: For `asymmetric`: from a class to the one it is mistaken for, by name.
        groups: For `hierarchical`: groups of classes, by name.
        confused: For `adversarial`: the likeliest wrong class of each `example`, or of each `class` as a whole.
        roles: Whose labels are corrupted.
    """

    kind: Literal["none", "symmetric", "asymmetric", "hierarchical", "adversarial"] = "none"
    share: float = pydantic.Field(0.0, ge=0, le=1)
    include_true: bool = False
    exact: bool = True
    class_map: dict[str, str] = {}
    groups: tuple[tuple[str, ...], ...] = ()
    confused: Literal["example", "class"] = "example"
    roles: tuple[Literal["labelled", "validation"], ...] = ("labelled", "validation")

    @pydantic.model_validator(mode="after")
    def _goes_together(self) -> "LabelNoise":
        if self.kind == "none" and self.share:
            raise InputError("Option 'data.label_noise.share' is set, but 'data.label_noise.kind' is 'none'.")
        for option, kind in (("class_map", "asymmetric"), ("groups", "hierarchical")):
            if bool(getattr(self, option)) != (self.kind == kind):
                raise InputError(
                    f"Option 'data.label_noise.{option}' goes with kind {kind!r}, and that kind needs it; the kind is "
                    f"{self.kind!r}."
                )
        return self

    def corrupts(self, role: str) -> bool:
        """Whether labels of a role may change."""
        return self.share > 0 and role in self.roles

    def check(self, class_names: Sequence[str]) -> None:
        """The classes it names exist.

        Raises:
            InputError: One does not.
        """
        named = [*self.class_map, *self.class_map.values(), *(name for group in self.groups for name in group)]
        for name in named:
            if name not in class_names:
                raise InputError(
                    f"Option 'data.label_noise': there is no class {name!r}; {suggest(name, class_names)}."
                )

    def corrupted(
        self, label: Int[Tensor, "N"], class_names: Sequence[str], seed: int, scores: Float[Tensor, "N K"] | None
    ) -> NoisyLabels:
        """Corrupt labels.

        Args:
            label: [N], the true ones.
            class_names: K names.
            seed: Draws the noise.
            scores: [N, K], for `adversarial` alone.

        Raises:
            InputError: No label could change.
        """
        number = {name: index for index, name in enumerate(class_names)}
        num_classes, share, exact = len(class_names), self.share, self.exact
        if self.kind == "adversarial":
            assert scores is not None
            return adversarial_noise(label, scores, share, seed, confused=self.confused, exact=exact)
        if self.kind == "asymmetric":
            class_map = {number[mistaken]: number[taken_for] for mistaken, taken_for in self.class_map.items()}
            return asymmetric_noise(label, num_classes, share, seed, class_map=class_map, exact=exact)
        if self.kind == "hierarchical":
            groups = [[number[name] for name in group] for group in self.groups]
            return hierarchical_noise(label, num_classes, share, seed, groups=groups, exact=exact)
        return symmetric_noise(label, num_classes, share, seed, include_true=self.include_true, exact=exact)
