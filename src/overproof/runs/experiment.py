"""An experiment: all options of a run, read from YAML, changed by `--set`, checked before any file is opened.

An experiment file cannot run code; models and estimators that it names by import path are imported when they are used.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pydantic
import yaml

from overproof.data.options import DataOptions
from overproof.data.source import format_of
from overproof.errors import InputError
from overproof.methods.composition import Method
from overproof.methods.noise_models import Noiseless, Published
from overproof.methods.published import CONVENTIONAL, CONVENTIONAL_WITHOUT_POOL, method, papers_of, plain_row
from overproof.methods.search import Search
from overproof.methods.selectors import Nothing
from overproof.models import ModelSpec
from overproof.options import InnerShare, Options, SeedList, check_file_name, validated
from overproof.papers import CO_TRAINING_1998, MSE_TEACHER_2024, STACKING_1992, Paper
from overproof.runs.changes import changed, read_yaml
from overproof.runs.method_options import MethodOptions as MethodOptions
from overproof.runs.method_options import check_different_rows, spelt_out
from overproof.teachers.options import ScorerOptions as ScorerOptions
from overproof.teachers.options import TeacherOptions as TeacherOptions
from overproof.training.options import TrainOptions
from overproof.training.trainable import check_trainable

SEEDS_OF_FOLDS = (0,)
"""The seeds by default where labelled rows are cross-validated, whose intervals hold with one (decision 13)."""


class StudentOptions(Options):
    """The student.

    Args:
        name: One by name, or the import path `package.module:factory` of a torch module or of a scikit-learn classifier
            that takes sample weights; `auto` suits the kind of data.
        options: Its own options.
        start: A safetensors file of first weights, such as another student's; empty draws them from the seed.
        afresh: Prefixes of the names of tensors that are drawn from the seed nevertheless, such as those of a head for
            other classes.
    """

    name: str = "auto"
    options: dict[str, Any] = pydantic.Field({})
    start: str = ""
    afresh: tuple[str, ...] = ()

    @property
    def spec(self) -> ModelSpec:
        """The specification that `overproof.models` builds it from."""
        return ModelSpec(name=self.name, options=self.options, start=self.start, afresh=self.afresh)


def by_name(value: Any) -> Any:
    """A student as a group of options; a name stands for the student of that name."""
    return {"name": value} if isinstance(value, str) else value


def _first_of(value: Any) -> Any:
    """A teacher or a list of them; a name stands for the model of that name."""
    several = list(value) if isinstance(value, list | tuple) else [value]
    named = [{"model": each} if isinstance(each, str) else each for each in several]
    if named and isinstance(named[0], dict):
        return {**named[0], **({"others": named[1:]} if len(named) > 1 else {})}
    return value


class Experiment(Options):
    """All options of a run.

    Args:
        name: The experiment's name.
        data: Which examples play which role.
        teacher: Where answers come from.
        student: What is trained; a name stands for the student of that name.
        train: How it is trained.
        methods: The rows of the table, by default `auto` (where it can choose on labelled examples) beside the
            conventional ones; `labelled_only` and (with a pool) `hard` and `soft` or (without) `born_again` are added
            where they are missing and their names are free, because verdicts need them; beside a method that chooses
            its training options (`auto`), `hard_tuned` and `soft_tuned` as well. A conventional row with options that
            change its parts, or with rounds, is a method.
        seeds: A list, such as `[0, 1, 2]`: one student a method and seed; rows are paired by seed. Where labelled rows
            are cross-validated, the default is `[0]`: each student is then trained once more for every fold.
        held_out_share: Share of the labelled examples that methods which need held-out labels (and early stopping)
            keep out of training, when there is no validation role.
    """

    name: str = "experiment"
    data: DataOptions
    teacher: Annotated[TeacherOptions, pydantic.BeforeValidator(_first_of)] = TeacherOptions()
    student: Annotated[StudentOptions, pydantic.BeforeValidator(by_name)] = StudentOptions()
    train: TrainOptions = TrainOptions()
    methods: tuple[Annotated[MethodOptions, pydantic.BeforeValidator(spelt_out)], ...] = pydantic.Field(
        tuple(MethodOptions(method=name) for name in ("labelled_only", *CONVENTIONAL, "auto")), min_length=1
    )
    seeds: SeedList = pydantic.Field((0, 1, 2), min_length=1)
    held_out_share: InnerShare = 1 / 3

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> "Experiment":
        if "methods" not in self.model_fields_set:
            # Of the default only what can be trained.
            left_out = {"auto"} if self._search_refused(self.methods[-1]) else set()
            left_out |= {"labelled_only"} if self.data.without("labelled") else set()
            object.__setattr__(self, "methods", tuple(each for each in self.methods if each.method not in left_out))
        if "seeds" not in self.model_fields_set and self.data.cross_validated:
            object.__setattr__(self, "seeds", SEEDS_OF_FOLDS)
        check_different_rows(self.rows())
        if len(once := dict.fromkeys(self.seeds)) < len(self.seeds):
            twice = next(seed for seed in once if self.seeds.count(seed) > 1)
            raise InputError(f"Option 'seeds' holds {twice} twice; write each once: `seeds: {list(once)}`.")
        if self.data.without("labelled") and any(each.method == "labelled_only" for each in self.methods):
            raise InputError("Option 'methods' names 'labelled_only', but 'data.rows.labelled' is 0.")
        if self.data.without("labelled") and self.teacher.trained_here:
            raise InputError(
                "Option 'data.rows.labelled' is 0, so no teacher can be trained here; bring its answers, or name the "
                "folder of a saved student, or another model that was trained elsewhere, in 'teacher.model'."
            )
        for each in self.rows():
            check_file_name(each.row, "'methods.name'")
            if each.row in ("teacher", "oracle"):
                raise InputError(f"Option 'methods' calls a row {each.row!r}; that name is taken.")
            self._check_method(each)
        if self.teacher.model == "student" and (
            self.teacher.options or self.teacher.train != ScorerOptions.model_fields["train"].default
        ):
            raise InputError(
                "Option 'teacher.model' is 'student', so the teacher is made and trained as the student is; leave "
                "'teacher.options' and 'teacher.train' out."
            )
        if self.teacher.trained_on_labelled and not self.data.has_validation:
            raise InputError(
                "Option 'teacher.trained_on_labelled' is true, so a 'validation' role of labelled examples that the "
                "teacher never saw is needed; there is none in 'data'."
            )
        if self.teacher.trained_on_labelled and self.data.cross_validated:
            raise InputError(
                "Option 'teacher.trained_on_labelled' is true: its answers hold the labels of every fold, so these "
                "rows cannot be cross-validated. Give a test, or set 'data.rows.test: 0' to train without an estimate."
            )
        return self

    @property
    def scorers(self) -> tuple[ScorerOptions, ...]:
        """The teacher, and the others of a stack."""
        return (self.teacher, *self.teacher.others)

    @property
    def aliases(self) -> dict[str, str]:
        """What people may call the classes: the aliases of all teachers, without words of which these differ."""
        named = dict[str, set[str]]()
        for scorer in self.scorers:
            for word, name in scorer.aliases.items():
                named.setdefault(word, set()).add(name)
        return {word: next(iter(names)) for word, names in named.items() if len(names) == 1}

    @property
    def answers_out_of_sample(self) -> bool:
        """Whether the teacher's answers on the labelled examples are by models that were not trained on them."""
        unseen = all(not each.trained_here or each.folds > 1 for each in self.scorers)
        return unseen and not self.teacher.trained_on_labelled

    @property
    def labelled_by_fold(self) -> bool:
        """Whether its accuracy is estimated on rows that are answered without their fold, others by all folds."""
        fitted = any(each.trained_here for each in self.scorers) or len(self.scorers) > 1
        return fitted and not self.data.has_validation

    def _check_method(self, each: MethodOptions) -> None:
        built, options = self.method_of(each), self.train_options(each)
        if options.early_stop_epochs and not self.has_labels:
            raise InputError(
                f"Row {each.row!r} stops early on held-out labelled examples, and there are none; set "
                f"'train.early_stop_epochs' to 0."
            )
        if options.teacher_answers == "online" and (not self.teacher.brought or self.teacher.others):
            raise InputError(
                f"Row {each.row!r} has 'train.teacher_answers: online', but only one saved student (or torch module "
                f"with 'teacher.weights') can predict anew; name its folder in 'teacher.model'."
            )
        if each.pool == "original" and "original" not in self.data.files:
            raise InputError(f"Row {each.row!r} is distilled on 'original', but 'data.files' has no such file.")
        if built.search is not None:
            self._check_search(each, built.search)
        unseen, validation = self.answers_out_of_sample, self.data.has_validation
        check_trainable(built, options, unseen=unseen, validation=validation)
        if built.initial == "teacher" and (self.teacher.model != "student" or self.teacher.folds != 1):
            raise InputError(
                f"Option 'methods.{each.row}' starts from the teacher's weights, so teacher.model must be 'student' "
                f"and teacher.folds 1; they are {self.teacher.model!r} and {self.teacher.folds}."
            )
        if each.rounds.most:
            self._check_rounds(each, built)

    def _search_refused(self, each: MethodOptions) -> str:
        """Why a row cannot choose on labelled examples; empty where it can."""
        refused = {
            "but there is no pool": self.data.without("pool"),
            "but there are no labelled examples to choose on": not self.has_labels,
            f"but the row is distilled on {each.pool!r}": each.pool != "pool",
            "but the teacher predicts online": self.train_options(each).teacher_answers == "online",
            "but the labelled examples are in the teacher's training data, and there is no 'validation' role": (
                not self.answers_out_of_sample and not self.data.has_validation
            ),
        }
        return next((why for why, found in refused.items() if found), "")

    def _check_search(self, each: MethodOptions, search: Search) -> None:
        for name in search.methods:
            method(name)
        if why := self._search_refused(each):
            raise InputError(
                f"Option 'methods' names {each.method!r}, which chooses on labelled examples and distils on the pool, "
                f"{why}; name a method instead, such as 'labelled_only' or 'hard'."
            )

    def _check_rounds(self, each: MethodOptions, built: Method) -> None:
        option = f"Option 'methods.{each.row}.rounds'"
        refused = {
            f"but {each.method!r} does not look at the pool": isinstance(built.select, Nothing),
            "but there are no labelled examples to weigh teacher and peers on": not self.has_labels,
            f"but the row is distilled on {each.pool!r}": each.pool != "pool",
            "but the row starts from the teacher's weights": built.initial == "teacher",
            "but the teacher predicts online": self.train_options(each).teacher_answers == "online",
        }
        for why, found in refused.items():
            if found:
                raise InputError(f"{option} is {each.rounds.most}, {why}; peer rounds correct the pool's answers.")
        # Peers must be trained without the same folds as the teacher's models.
        of_teachers = {scorer.folds for scorer in self.scorers if scorer.trained_here} - {1}
        wanted = of_teachers | ({each.rounds.folds} - {"auto"} if of_teachers else set())
        if len(wanted) > 1:
            raise InputError(
                f"{option} needs the same folds for peers and every teacher trained on the labels; there are "
                f"{' and '.join(map(str, sorted(wanted)))}."
            )

    @property
    def answered_by_copies(self) -> bool:
        """Whether a teacher answers each labelled example by one copy and the pool by the mean of all."""
        return any(each.trained_here and each.folds > 1 for each in self.scorers)

    def rows(self) -> tuple[MethodOptions, ...]:
        """The methods of the table; those that verdicts need and the options leave out come first.

        Raises:
            InputError: Every name of a conventional row is taken by a method, so that there is nothing to compare with.
        """
        alone = () if self.data.without("labelled") else ("labelled_only",)
        conventional = CONVENTIONAL_WITHOUT_POOL if self.data.without("pool") else CONVENTIONAL
        present, taken = {self.plain(each) for each in self.methods}, {each.row for each in self.methods}
        tuned = () if self.data.without("pool") or not self._has_auto else ("hard_tuned", "soft_tuned")
        wanted = dict.fromkeys((*alone, *conventional, *tuned))
        added = [name for name in wanted if name not in present | taken]
        if not {*present, *added} & {*conventional}:
            raise InputError(
                f"Option 'methods': {' and '.join(map(repr, conventional))} have options that make methods of them, so "
                f"no conventional row is left to compare with; give such a row another name, as {conventional[0]}_1."
            )
        return (*(MethodOptions(method=name) for name in added), *self.methods)

    def plain(self, each: MethodOptions) -> str:
        """The reference or conventional row that a row is by its parts; empty for a method, as with rounds.

        Training options (`train`) do not count: a conventional row that is trained better is a better baseline.
        """
        if each.rounds.most or each.pool == "original":
            return ""
        return plain_row(each.build(), pooled=not self.data.without("pool"))

    def papers(self) -> list[Paper]:
        """The papers behind its methods, peer rounds, stack of teachers and their losses, each once."""
        found = papers_of((each.method, each.build()) for each in self.rows())
        chosen = [each.build().search for each in self.rows()]
        rounds = self.has_rounds or any(search.rounds for search in chosen if search is not None)
        found += [CO_TRAINING_1998] if rounds else []
        found += [STACKING_1992] if rounds or self.teacher.others else []
        squared = any(each.trained_here and each.train.loss == "mse" for each in self.scorers)
        return found + ([MSE_TEACHER_2024] if squared else [])

    @property
    def has_rounds(self) -> bool:
        """Whether a row has peer rounds."""
        return any(each.rounds.most for each in self.methods)

    @property
    def _has_auto(self) -> bool:
        """Whether a method chooses on labels; the conventional rows that it is compared with then do so as well."""
        return any(each.build().search is not None and not self.plain(each) for each in self.methods)

    @property
    def has_search(self) -> bool:
        """Whether a row chooses its method or its training options on labelled examples."""
        return any(each.build().search is not None for each in self.methods)

    @property
    def has_labels(self) -> bool:
        """Whether there are labelled examples beside the test."""
        return not self.data.without("labelled") or self.data.has_validation

    def method_of(self, each: MethodOptions) -> Method:
        """One row's method; without labelled examples it takes the teacher's published accuracy.

        Raises:
            InputError: It needs the teacher's accuracy, and there are neither labels nor a published one.
        """
        built, published = each.build(), self.teacher.published_accuracy
        if self.has_labels or isinstance(built.noise, Noiseless | Published):
            return built
        if built.needs_held_out:
            raise InputError(f"Row {each.row!r} needs labelled examples, and 'data.rows.labelled' is 0.")
        if published is None:
            raise InputError(
                f"Row {each.row!r} needs the accuracy of the teacher, and there are no labelled examples to "
                f"estimate it; give 'teacher.published_accuracy', in (0, 1]."
            )
        return replace(built, noise=Published(accuracy=published))

    def train_options(self, each: MethodOptions) -> TrainOptions:
        """The training options of one row: the experiment's, and those of the row in their place."""
        return validated(TrainOptions, {**self.train.model_dump(), **each.train}, f"methods.{each.row}.train")


def load(path: Path | str, changes: Sequence[str] = ()) -> Experiment:
    """Read an experiment file and apply `a.b=value` changes, values being YAML.

    Its group `compare`, if it has one, is read by `overproof.runs.comparison` only.

    Args:
        path: The file.
        changes: Changes of the form `a.b=value`.

    Raises:
        InputError: No such file, not YAML, or an option that does not exist or has a wrong value.
    """
    content = changed(options_in(path), changes)
    content.pop("compare", None)
    return experiment_from(content)


def options_in(path: Path | str) -> dict[str, Any]:
    """The content of an experiment file: options by name, not yet checked.

    Args:
        path: The file.

    Raises:
        InputError: No such file, or not YAML.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no experiment file {str(path)!r}.")
    if format_of(path) is not None and path.suffix != ".json":
        raise InputError(
            f"{str(path)!r} holds examples and is no experiment file; `overproof init {path}` writes one for it."
        )
    try:
        content = read_yaml(path.read_text())
    except InputError as error:
        raise InputError(f"Experiment file {str(path)!r}: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = (
            f", line {error.problem_mark.line + 1}"
            if isinstance(error, yaml.MarkedYAMLError) and (error.problem_mark is not None)
            else ""
        )
        raise InputError(f"Experiment file {str(path)!r}{where} is not valid YAML.") from None
    except (ValueError, RecursionError):
        # A number of thousands of digits, a date that does not exist, or lists within lists without an end.
        raise InputError(f"Experiment file {str(path)!r} holds a value that YAML cannot read.") from None
    if not isinstance(content, dict):
        raise InputError(f"Experiment file {str(path)!r} must hold options by name, not {type(content).__name__}.")
    return content


def experiment_from(content: Mapping[str, Any], changes: Sequence[str] = ()) -> Experiment:
    """An experiment from plain data.

    Args:
        content: Options by name, nested.
        changes: Changes of the form `a.b=value`, the value being YAML.

    Raises:
        InputError: An option that does not exist or has a wrong value, named with the nearest known one.
    """
    return validated(Experiment, changed(content, changes), "")


def dump(experiment: Experiment) -> str:
    """The whole experiment, every default spelt out, as YAML that `load` reads back."""
    plain = json.loads(experiment.model_dump_json())
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
