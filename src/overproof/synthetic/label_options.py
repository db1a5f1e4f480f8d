"""The option `data.label_noise`: known noise added to given labels, for experiments."""

from collections.abc import Sequence
from typing import Literal

import pydantic
from jaxtyping import Float, Int
from torch import Tensor

from overproof.errors import InputError, suggest
from overproof.synthetic import NoisyLabels, adversarial_noise, asymmetric_noise, hierarchical_noise, symmetric_noise


class LabelNoise(pydantic.BaseModel, frozen=True, extra="forbid"):
    """For experiments: known noise in given labels (`overproof.synthetic`).

    The true labels are kept for the oracle row and for findings; the labels of the test never change.

    Args:
        kind: `symmetric` (a random other class), `asymmetric` (the class in `class_map`), `hierarchical` (a random
            other class of the same group), `adversarial` (the wrong class that the teacher, cross-fitted on the true
            labels, finds most likely), or `none`.
        share: Share of the examples that can change, in [0, 1].
        include_true: For `symmetric`: draw from all classes, so that only share (K - 1) / K of the labels change.
        exact: Corrupt round(share * examples) of them; otherwise each with probability `share`.
        class_map: For `asymmetric`: from a class to the one it is confused with, by name.
        groups: For `hierarchical`: groups of classes, by name.
        confused: For `adversarial`: the most likely wrong class of each `example`, or of each `class` on average.
        roles: Roles whose labels are corrupted.
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
    def _check_combination(self) -> "LabelNoise":
        if self.kind == "none" and self.share:
            raise InputError("Option 'data.label_noise.share' is set, but 'data.label_noise.kind' is 'none'.")
        for option, kind in (("class_map", "asymmetric"), ("groups", "hierarchical")):
            if bool(getattr(self, option)) != (self.kind == kind):
                raise InputError(
                    f"Option 'data.label_noise.{option}' is required for kind {kind!r} and not allowed for others; the "
                    f"kind is {self.kind!r}."
                )
        return self

    def corrupts(self, role: str) -> bool:
        """Whether labels of a role can change."""
        return self.share > 0 and role in self.roles

    def check(self, class_names: Sequence[str]) -> None:
        """Check that the classes in the options exist.

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
        """Add the noise.

        Args:
            label: [N], the true labels.
            class_names: K names.
            seed: Seed of the noise.
            scores: [N, K], only for `adversarial`.

        Raises:
            InputError: No label can change.
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
