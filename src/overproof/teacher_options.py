"""Who answers in a run, as data."""

from typing import Any

import pydantic

from overproof.errors import InputError
from overproof.train_options import TrainOptions


class ScorerOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """One who answers: trained on the labels and cross-fitted, or brought as a saved student or a file of answers.

    Args:
        model: `minilm` (frozen sentence encoder and a logistic head); a student by name, trained on the labels; the
            import path `package.module:factory` of a scikit-learn classifier; `student` for one of the student's own
            kind, trained as it is; the folder of a saved student, such as RUN/students/seed-0/labelled_only (a path
            with a slash in it); or `answers`. `auto` is `minilm` for text, boosted trees for tables and `cnn` for
            images.
        options: The model's own options.
        answers: Files of answers, each joined by the data's id column, for `answers`; see `overproof.answer_files`.
        folds: Cross-fitting folds: each labelled example is scored by the teacher that did not see it, everything else
            by the mean of all of them. 1 is a single teacher trained on all the labelled examples: its answers there
            are in sample, as self-distillation wants them, and say nothing of its errors.
        features: Folder where a frozen encoder's features are kept and looked for, so that runs can share them; by
            default the run's own.
        train: How a student that serves as teacher is trained.
    """

    model: str = "auto"
    options: dict[str, Any] = {}
    answers: tuple[str, ...] = ()
    folds: int = pydantic.Field(5, ge=1)
    features: str = ""
    train: TrainOptions = TrainOptions(epochs=30)

    @property
    def saved(self) -> bool:
        """Whether `model` is the folder of a saved student."""
        return "/" in self.model

    @pydantic.model_validator(mode="after")
    def _named(self) -> "ScorerOptions":
        if self.model == "answers" and not self.answers:
            raise InputError("Option 'teacher.answers' names no file, but teacher.model is 'answers'.")
        if self.answers and self.model not in ("answers", "auto"):
            raise InputError(f"Option 'teacher.answers' goes with teacher.model 'answers', not {self.model!r}.")
        return self


class TeacherOptions(ScorerOptions):
    """The teacher: one scorer with its options, or several, written as a list, whose stack then is the teacher.

    Args:
        others: More scorers. Their weights beside the first are learned on the labelled examples, out of sample
            (`overproof.noise.stack`).
        trained_on_labelled: Say so when a brought teacher has seen the labelled examples: its answers there say nothing
            of its errors, and a validation role is needed.
        published_accuracy: How often the teacher is right, in (0, 1], as somebody published it. Methods that need to
            know take it where there are no labelled examples to estimate it on; elsewhere it is only compared.
        flip_share: For experiments: this share of all its answers is flipped at random, more at small margins.
    """

    others: tuple[ScorerOptions, ...] = ()
    trained_on_labelled: bool = False
    published_accuracy: float | None = None
    flip_share: float = pydantic.Field(0.0, ge=0, le=0.9)

    @pydantic.model_validator(mode="after")
    def _accuracy_is_one(self) -> "TeacherOptions":
        if self.published_accuracy is not None and not 0 < self.published_accuracy <= 1:
            raise InputError(
                f"Option 'teacher.published_accuracy' is {self.published_accuracy:g}; the share of its answers that "
                f"are right must be in (0, 1]."
            )
        return self
