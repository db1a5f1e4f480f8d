"""The options of a teacher."""

import json
from pathlib import Path
from typing import Any, Literal

import pydantic

from overproof.answers.tools import check_format
from overproof.errors import InputError
from overproof.noise.adapter import ADAPTER
from overproof.options import Options
from overproof.synthetic.answer_options import AnswerNoise
from overproof.teachers.endpoint.options import ENDPOINT, LICENCE_NOT_STATED, endpoint_options
from overproof.teachers.kinds import brought_kind_of, is_brought
from overproof.training.options import TeacherTraining


class ScorerOptions(Options):
    """One teacher: trained on the labels and cross-fitted, a pretrained model, or files of answers.

    Args:
        model: Trained on the labels: `minilm` (frozen sentence encoder and a logistic head), `efficientnet_lite0` (the
            same for images), `frozen_encoder` (any encoder by import path); a student by name; the import path
            `package.module:factory` of a scikit-learn classifier or of a torch module; `student` for one like the
            run's student, trained as it is. Pretrained, used as it is: the folder of a saved student, such as
            RUN/students/seed-0/labelled_only, of a Hugging Face classifier or of MLflow (a path with a slash in it); a
            file `….onnx` or `….skops`; an import path with `weights`; `zero_shot` (for texts: the class whose
            description in `options.descriptions` is nearest); `endpoint`, a language model at an address
            (`overproof.teachers.endpoint.options`); or `answers`. Behind another teacher in a list: `adapter`, the
            first one's answers corrected by features (`options: {encoder: minilm}`). `auto` is `minilm` for text,
            boosted trees for tables and `cnn` for images.
        options: The model's own options.
        answers: A file of answers or several, each joined by the data's id column, for `answers`; every file may hold
            a part of the examples. See `overproof.answers.files`.
        format: How `answers` are written: `auto` recognises the tool, `table` is a table with named columns, any other
            name one of docs/answers.md.
        align: What joins `answers` with the data: `id`, the data's id column; or `rows`, for files without ids: their
            rows, end to end, are those of the data's files in the order in which the experiment names them, and there
            must be as many.
        columns: Names of columns of `answers` by what they are read as, such as `{id: ticket, label: llm_queue}`, where
            they are called otherwise. If it names more than the id, no other column is read.
        draws: Files of `overproof next --for teacher`, whose rows were answered in `answers` by a tool that does not
            keep the columns `inclusion_probability` and `drawn`; where `answers` have these, none is needed. Students
            then count every pool example by what it stands for (`overproof.evaluation.staged_draws`).
        classes: The names of a pretrained model's outputs, in order, where the model does not name them; the order
            of the lists of probabilities in `answers`. Matched to the data's class names by name.
        weights: A safetensors file: the import path is that of a torch module which has them, and is not trained.
        vote: How several answers to one example in `answers` are combined, in rows of `annotator`, in lists `labels`
            or in one cell such as `billing;login`: `soft` uses the shares of the votes as
            probabilities, `majority` the class with the most votes with probability 1, `reliability` weights
            annotators by how well they agree with the others (Dawid and Skene with one accuracy each); `set` takes them
            for all classes that may hold, each equally likely (the method `answer_sets` learns what a set says).
        answer_from: Where rows of `answers` hold a label and probabilities of which another class is the largest (a
            tuned threshold): `probabilities` or `label` says which is the answer. Without it such a file is an error.
        unanswered: What happens to labelled, pool and validation examples for which `answers` has no row, an empty one,
            or a word that is no class: `refuse` is an error that counts them, `drop` leaves them out but for labelled
            ones, whose label is trained on and which say nothing of the teacher; `uniform` keeps pool examples too, and
            gives every class the same probability there for methods of soft targets, whereas those that go by the
            likeliest class leave them out. A finding counts them. Test examples need no answers: each without one
            counts as a guess of the teacher, and if less than 90 % of them have one, it is not judged on the test.
        aliases: Classes by the words that mean them in `answers`, such as `{bill: billing}`, in lists of classes too,
            and in files that people labelled (`data.labels`, `overproof evaluate --labels`, `overproof annotate`).
            Words that differ from a class in case, in blanks, and in quotes and full stops around them alone need none.
            The data's own label columns make the classes: a word that is one there cannot be an alias of another.
        folds: Cross-fitting folds: each labelled example is scored by the copy that was trained without its fold,
            all other examples by the mean of all copies. 1 is a single teacher trained on all labelled examples: its
            answers there are in sample, as self-distillation needs them, and cannot show its errors.
        features: Folder where a frozen encoder's features are stored, so that runs can share them; by default the
            run's own.
        licence: The licence under which the answers of `answers` or `endpoint` may be used, for the report and the
            model card, which say so where it is not stated.
        train: How a student that serves as teacher is trained.
    """

    model: str = "auto"
    options: dict[str, Any] = pydantic.Field({})
    answers: tuple[str, ...] = ()
    format: str = "auto"
    align: Literal["id", "rows"] = "id"
    columns: dict[str, str] = pydantic.Field({})
    draws: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    weights: str = ""
    vote: Literal["soft", "majority", "reliability", "set"] = "soft"
    answer_from: Literal["", "probabilities", "label"] = ""
    unanswered: Literal["refuse", "drop", "uniform"] = "refuse"
    aliases: dict[str, str] = pydantic.Field({})
    folds: int = pydantic.Field(5, ge=1)
    features: str = ""
    licence: str = ""
    train: TeacherTraining = TeacherTraining(epochs=30)

    @property
    def asks(self) -> bool:
        """Whether it is asked at an address: its answers are in a file of the run's then, by content id."""
        return self.model == ENDPOINT

    @property
    def licence_said(self) -> str:
        """A sentence about the licence of answers that others made; empty for a teacher that answers here."""
        if not (self.asks or self.answers):
            return ""
        return f"Licence of the teacher's answers: {self.licence or LICENCE_NOT_STATED}."

    @property
    def called(self) -> str:
        """What findings call it: the names of its files of answers, or its model."""
        if self.asks:
            return str(self.options["model"])
        return ", ".join(Path(each).name for each in self.answers) or self.model

    @property
    def key(self) -> str:
        """Its own options as text."""
        return json.dumps(self.options, sort_keys=True)

    @property
    def brought(self) -> bool:
        """Whether `model` is a pretrained model, which predicts as it is."""
        return is_brought(self)

    @property
    def can_be_online(self) -> bool:
        """Whether its module can predict every augmented batch anew."""
        return self.brought and brought_kind_of(self).can_be_online

    @property
    def trained_here(self) -> bool:
        """Whether it is trained on the labelled examples of the run."""
        return not self.brought and not self.answers

    @property
    def corrects_first(self) -> bool:
        """Whether it corrects the answers of the first teacher of the list that it is in."""
        return self.model == ADAPTER

    @pydantic.field_validator("answers", "draws", mode="before")
    @classmethod
    def _one_path_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @pydantic.model_validator(mode="after")
    def _named(self) -> "ScorerOptions":
        if self.asks:
            endpoint_options(self.options)
        if self.model == "answers" and not self.answers:
            raise InputError("Option 'teacher.answers' names no file, but teacher.model is 'answers'.")
        if self.answers and self.model not in ("answers", "auto"):
            raise InputError(f"Option 'teacher.answers' goes with teacher.model 'answers', not {self.model!r}.")
        if self.weights and ":" not in self.model:
            raise InputError(
                f"Option 'teacher.weights' goes with the import path of a torch module in teacher.model, not "
                f"{self.model!r}."
            )
        if self.classes and self.trained_here:
            raise InputError(
                "Option 'teacher.classes' names the outputs of a pretrained teacher; a teacher that is trained on the "
                "labels has the classes of the data."
            )
        if len(set(self.classes)) < len(self.classes):
            twice = next(name for name in self.classes if self.classes.count(name) > 1)
            raise InputError(f"Option 'teacher.classes' names {twice!r} twice; every output has a class of its own.")
        if self.draws and not self.answers:
            raise InputError("Option 'teacher.draws' is about 'teacher.answers', and there are none.")
        if self.vote != "soft" and not self.answers:
            raise InputError(f"Option 'teacher.vote' is {self.vote!r}, but there are no 'teacher.answers' to count.")
        for option, given in (("columns", self.columns), ("aliases", self.aliases)):
            if given and not self.answers:
                raise InputError(f"Option 'teacher.{option}' is about 'teacher.answers', and there are none.")
        check_format(self.format)
        for option, changed in (("format", self.format != "auto"), ("align", self.align != "id")):
            if changed and not self.answers:
                raise InputError(f"Option 'teacher.{option}' is about 'teacher.answers', and there are none.")
        if self.unanswered != "refuse" and not self.answers and not self.asks:
            raise InputError(f"Option 'teacher.unanswered' is {self.unanswered!r}, but there are no 'teacher.answers'.")
        if self.answer_from and not self.answers:
            raise InputError(
                f"Option 'teacher.answer_from' is {self.answer_from!r}, but there are no 'teacher.answers'."
            )
        return self


class TeacherOptions(ScorerOptions):
    """The teacher: one scorer with its options, or several, written as a list, whose stack then is the teacher.

    Args:
        others: More scorers. Their weights beside the first are learned on the labelled examples, out of sample
            (`overproof.noise.stack`).
        trained_on_labelled: Whether a pretrained teacher was trained on the labelled examples: its errors cannot be
            estimated on them then, and a validation role is needed.
        published_accuracy: A published accuracy of the teacher, in (0, 1]. Methods that need an accuracy use it where
            there are no labelled examples to estimate it on; otherwise it is only compared with the estimate.
        flip_share: For experiments: this share of all its answers is flipped at random, more at small margins.
        spoil: For experiments: its answers are spoilt by class, biased, or reduced to one class.
    """

    others: tuple[ScorerOptions, ...] = ()
    trained_on_labelled: bool = False
    published_accuracy: float | None = None
    flip_share: float = pydantic.Field(0.0, ge=0, le=0.9)
    spoil: AnswerNoise = AnswerNoise()

    @pydantic.model_validator(mode="after")
    def _adapters_correct(self) -> "TeacherOptions":
        if self.corrects_first:
            raise InputError(
                "Option 'teacher' begins with an adapter, which corrects the first teacher of a list; write "
                "`teacher: [{answers: llm.csv}, adapter]`, with a teacher that was not trained on the labels first."
            )
        if any(each.corrects_first for each in self.others) and (self.trained_here or self.trained_on_labelled):
            raise InputError(
                f"Option 'teacher' is a list with an adapter, which corrects answers made without the labels, and the "
                f"first teacher, {self.model!r}, is trained on them; put files of answers or a pretrained model first, "
                f"or leave the adapter out."
            )
        return self

    @pydantic.model_validator(mode="after")
    def _accuracy_is_one(self) -> "TeacherOptions":
        if self.published_accuracy is not None and not 0 < self.published_accuracy <= 1:
            raise InputError(
                f"Option 'teacher.published_accuracy' is {self.published_accuracy:g}; the share of its answers that "
                f"are right must be in (0, 1]."
            )
        return self
