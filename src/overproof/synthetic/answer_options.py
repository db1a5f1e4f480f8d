"""The option `teacher.spoil`: known noise added to a teacher's predictions, for experiments."""

from collections.abc import Sequence
from typing import Literal

import pydantic
from jaxtyping import Float
from torch import Tensor

from overproof.errors import InputError, suggest
from overproof.functional import one_hot
from overproof.synthetic import class_conditional_flips, favouring


class AnswerNoise(pydantic.BaseModel, frozen=True, extra="forbid"):
    """For experiments: known noise in all of the teacher's predictions, also those on the test.

    Args:
        kind: `class_conditional` (a share of the predictions of a class, at any margin, is changed to another class:
            `overproof.synthetic.class_conditional_flips`), `biased` (the odds of favoured classes are raised:
            `overproof.synthetic.favouring`), or `none`.
        share: For `class_conditional`: the probability of a flip, in [0, 1].
        class_map: For `class_conditional`: from a class to another one, by name; by default every class is mapped to
            the next one in order.
        favoured: For `biased`: the favoured classes, by name.
        log_odds: For `biased`: the amount added to the natural logarithm of their odds.
        hard: Reduce the predictions to the most likely class with probability one, as from a model without
            probabilities.
    """

    kind: Literal["none", "class_conditional", "biased"] = "none"
    share: float = pydantic.Field(0.0, ge=0, le=1)
    class_map: dict[str, str] = {}
    favoured: tuple[str, ...] = ()
    log_odds: pydantic.NonNegativeFloat = 0.0
    hard: bool = False

    @pydantic.model_validator(mode="after")
    def _check_combination(self) -> "AnswerNoise":
        for option, kind in (
            ("share", "class_conditional"),
            ("class_map", "class_conditional"),
            ("favoured", "biased"),
            ("log_odds", "biased"),
        ):
            if getattr(self, option) and self.kind != kind:
                raise InputError(f"Option 'teacher.spoil.{option}' needs kind {kind!r}; the kind is {self.kind!r}.")
        needed = {"none": (), "class_conditional": ("share",), "biased": ("favoured", "log_odds")}[self.kind]
        for option in needed:
            if not getattr(self, option):
                raise InputError(f"Option 'teacher.spoil.kind' is {self.kind!r}, which needs 'teacher.spoil.{option}'.")
        return self

    @property
    def changes_answers(self) -> bool:
        """Whether any prediction can change."""
        return self.kind != "none" or self.hard

    def check(self, class_names: Sequence[str]) -> None:
        """Check that the classes in the options exist.

        Raises:
            InputError: One does not.
        """
        for name in (*self.class_map, *self.class_map.values(), *self.favoured):
            if name not in class_names:
                raise InputError(f"Option 'teacher.spoil': there is no class {name!r}; {suggest(name, class_names)}.")

    def corrupted(
        self, teacher_probs: Float[Tensor, "N K"], class_names: Sequence[str], seed: int
    ) -> Float[Tensor, "N K"]:
        """Add the noise.

        Args:
            teacher_probs: [N, K], the teacher's own predictions.
            class_names: K names.
            seed: Seed of the flips.

        Raises:
            InputError: It is not possible, such as a bias of predictions that are all certain.
        """
        number = {name: index for index, name in enumerate(class_names)}
        if self.kind == "class_conditional":
            pairs = self.class_map or dict(zip(class_names, [*class_names[1:], class_names[0]], strict=True))
            class_map = {number[own]: number[other] for own, other in pairs.items()}
            teacher_probs, _ = class_conditional_flips(teacher_probs, self.share, seed, class_map)
        if self.kind == "biased":
            try:
                teacher_probs, _ = favouring(teacher_probs, [number[name] for name in self.favoured], self.log_odds)
            except InputError as error:
                raise InputError(f"Option 'teacher.spoil' has kind 'biased': {error}") from None
        return one_hot(teacher_probs) if self.hard else teacher_probs
