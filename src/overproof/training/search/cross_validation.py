"""Cross-validation of candidates: each student is trained without a fold of the labelled examples and judged on it."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.cross_fitting import rows_within, rows_without
from overproof.functional.repeats import Repeats
from overproof.methods.composition import Method
from overproof.models import Placed, Student
from overproof.processes import leads, wait_for_all
from overproof.registry import described
from overproof.seeds import derived_seed, digest
from overproof.storage.atomic import alone_among_workers
from overproof.storage.keys import canonical_json
from overproof.training.checkpoint import Resume
from overproof.training.distillation import distilled
from overproof.training.examples import TrainingData
from overproof.training.options import TrainOptions
from overproof.training.parallel import run_jobs
from overproof.training.stored_scores import store_scores, stored_scores


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trial:
    """One way to train a student, on a part of the pool.

    Args:
        method: How a student is trained on the examples.
        train: The training options.
        pool_share: Share of the pool that it is trained on, in (0, 1]; the number of epochs does not change, so that
            a training takes this share of the steps.
    """

    method: Method
    train: TrainOptions
    pool_share: float = 1.0

    @property
    def key(self) -> str:
        """Everything that its students depend on, besides the data and the seed, as JSON."""
        return canonical_json(
            {
                "method": described(self.method),
                "train": described(self.train, without=["checkpoint_seconds"]),
                "pool_share": self.pool_share,
            }
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class CrossValidation:
    """The labelled examples by folds; a student of each fold is trained on all others, and on the pool.

    The examples that are judged are those on which the teacher's answers are out of sample (`TrainingData`): the
    labelled ones, each predicted by the student that was trained without its fold, then the validation examples, which
    no student is trained on, with the mean over the students. Where the teacher was trained on the labelled examples,
    only the validation examples are judged, by one student.

    Args:
        fresh: Makes an untrained student; all have the same initial weights.
        data: Labelled examples, pool and perhaps validation examples, with the teacher's answers.
        seed: Seeds everything random.
        fold: [V], the fold of every labelled example, in 0..F-1; None where the labelled examples are not judged.
        without_fold: For every fold the teacher's answers on the pool without it: F of them.
        content: The digest of the data and of the student's initial weights; names the folder.
        folder: Where the predictions are stored; students of other rows with the same trials share them.
        workers: As in `run_jobs`.
    """

    fresh: Callable[[], Student]
    data: TrainingData
    seed: int
    fold: Int64[Tensor, "V"] | None
    without_fold: Sequence[Answers]
    content: str
    folder: Path
    workers: int | Literal["auto"] = "auto"

    @property
    def num_folds(self) -> int:
        """Number of students that a trial takes."""
        return 1 if self.fold is None else len(self.without_fold)

    @functools.cached_property
    def label(self) -> Int64[Tensor, "J"]:
        """The labels of the examples that are judged."""
        return torch.cat([each.label for each in self.data.out_of_sample])

    @functools.cached_property
    def repeats(self) -> Repeats:
        """Which of them repeat or depend on each other."""
        return self.data.repeats

    @functools.cached_property
    def order(self) -> Int64[Tensor, "N"]:
        """The pool in the order in which parts of it are taken."""
        generator = torch.Generator().manual_seed(derived_seed(self.seed, "part of the pool"))
        return torch.randperm(len(self.data.pool), generator=generator)

    def num_pool(self, share: float) -> int:
        """Number of pool examples in a part of it."""
        return max(1, round(share * len(self.data.pool)))

    def probs(self, trials: Sequence[Trial]) -> list[Float[Tensor, "J K"]]:
        """The predictions of every trial's students on the examples that are judged, out of sample.

        Args:
            trials: What is trained; what is stored already is read.
        """
        jobs = [
            functools.partial(self._student, trial, fold, self._path(trial, fold))
            for trial in trials
            for fold in range(self.num_folds)
        ]
        with alone_among_workers(self.folder):
            run_jobs(jobs, workers=self.workers)
        wait_for_all()
        return [self._joined(trial) for trial in trials]

    def _path(self, trial: Trial, fold: int) -> Path:
        name = digest(canonical_json({"trial": trial.key, "seed": self.seed, "content": self.content}).encode())
        return self.folder / f"{name}-{fold}.safetensors"

    def _student(self, trial: Trial, fold: int, path: Path) -> None:
        """Train the student of a fold and store its predictions."""
        stored = stored_scores(path, path.stem) is not None
        wait_for_all()
        if stored:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint = path.with_suffix(".checkpoint")
        data, judged = self._split(fold)
        part = self.order[: self.num_pool(trial.pool_share)].sort().values
        data = replace(data, pool=data.pool if len(part) == len(data.pool) else data.pool.take(part))
        result = distilled(
            self.fresh(),
            data,
            method=trial.method,
            options=trial.train,
            seed=derived_seed(self.seed, "fold", fold),
            resume=Resume(checkpoint=checkpoint),
        )
        scores = {
            role: result.student.probs(Placed(inputs=self.data.inputs, place=place)) for role, place in judged.items()
        }
        if leads():
            store_scores(path, scores, path.stem)
            checkpoint.unlink(missing_ok=True)
        wait_for_all()

    def _split(self, fold: int) -> tuple[TrainingData, dict[str, Tensor]]:
        """What the student of a fold is trained on, and the places of what it predicts, by role."""
        data, judged = self.data, dict[str, Tensor]()
        if self.fold is not None:
            judged["labelled"] = data.labelled.place[rows_within(self.fold, fold)]
            data = replace(
                data,
                labelled=data.labelled.take(rows_without(self.fold, fold)),
                pool=replace(data.pool, answers=self.without_fold[fold]),
            )
        if data.validation is not None:
            judged["validation"] = data.validation.place
        return data, judged

    def _joined(self, trial: Trial) -> Float[Tensor, "J K"]:
        paths = [self._path(trial, fold) for fold in range(self.num_folds)]
        stored = [found for path in paths if (found := stored_scores(path, path.stem)) is not None]
        assert len(stored) == self.num_folds, "each was written just now, or found whole"
        parts = []
        if self.fold is not None:
            joined = torch.empty(len(self.fold), len(self.fresh().class_names))
            for fold, each in enumerate(stored):
                joined[rows_within(self.fold, fold)] = each["labelled"]
            parts.append(joined)
        if self.data.validation is not None:
            parts.append(torch.stack([each["validation"] for each in stored]).mean(dim=0))
        return torch.cat(parts)
