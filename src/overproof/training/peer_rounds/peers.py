"""Peers of a student: models trained on parts of the data that predict the rest, so that every label is out of sample.

A student with other inputs or another bias than its teacher is right where the teacher is wrong; distillation alone
does not use that. Peer rounds do: students, *peers*, are trained on parts of the data; each predicts the examples that
it was not trained on; teacher and peers are stacked with weights fitted on the labelled examples; the final student is
trained on the stacked answers. `overproof.training.peer_rounds.rounds` repeats this until it no longer helps.

The labelled examples are split into F folds, those of a cross-fitted teacher, and the pool into two halves. For each
fold one peer is trained on one half of the pool and the labels of the *other* folds, with answers of the teacher that
was not trained on the fold either; it predicts the other half of the pool and its own fold. In the next round the
fold's peer is trained on that other half, corrected by the predictions of the fold's last peer. The label of an example
therefore enters no prediction for that example in any round; what all examples share are the weights of the stack and
the curve of the teacher's accuracy. A round costs F trainings on half of the pool.

Hard labels enter the stack as the posterior of the true class given the named class, estimated on labelled examples of
other folds, so that each named class has the weight of its accuracy.

Before the first round, round 0 does the same with students of the labels alone: their errors do not depend on the
teacher's, so they can correct it before any peer has learned its errors. They stay in the stack.
"""

import functools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from overproof.answers.ask import answer
from overproof.answers.predictions import Answers
from overproof.cross_fitting import rows_within, rows_without
from overproof.methods.composition import Method, override
from overproof.methods.published import labelled_only
from overproof.models import Placed, Student, described_student
from overproof.models.zoo import GIVEN
from overproof.noise import same_margins
from overproof.options import Finite, Options
from overproof.processes import leads, wait_for_all
from overproof.registry import described
from overproof.seeds import derived_seed, digest, hasher
from overproof.storage.atomic import alone_among_workers
from overproof.storage.keys import ANSWERS, canonical_json
from overproof.storage.shard import Ids, StoreKey, digest_of_ids
from overproof.training.checkpoint import Resume
from overproof.training.distillation import distilled
from overproof.training.examples import AnsweredExamples, TrainingData, repeats_of
from overproof.training.options import TrainOptions
from overproof.training.parallel import run_jobs
from overproof.training.stored_scores import store_scores, stored_scores

LABELLED_ROLES: tuple[str, ...] = ("labelled", "validation")
"""Roles whose labels are known."""

MAX_ROUNDS = 3
"""Later rounds add nothing: peers that share a pool's corrected answers agree with each other."""


class PeerOptions(Options):
    """How many rounds, and how peers are trained and stacked.

    Args:
        most: Maximal number of rounds, in 0..3; a round that does not lower the labelled log-loss is not taken and is
            the last.
        folds: Folds of the labelled examples, at least 2; a round trains one peer for each, on half of the pool. `auto`
            is those of a teacher that is trained on the labels, which must be the same, and 2 for one that is not.
        alone: Whether students of the labels alone are in the stack as well.
        bias: Whether the stack also learns a bias for every class.
        penalty: Strength of the prior on the stack's weights, as a number of examples.
        standard_errors: Number of standard errors of the paired difference by which the labelled log-loss must fall;
            below 0 a round is taken even if the log-loss rises, for experiments.
        workers: Number of peers that are trained in parallel; `auto` is one per core where that is safe. The results do
            not depend on it.
    """

    most: int = pydantic.Field(0, ge=0, le=MAX_ROUNDS)
    folds: Annotated[int, pydantic.Field(ge=2)] | Literal["auto"] = "auto"
    alone: bool = True
    bias: bool = False
    penalty: pydantic.PositiveFloat = 1.0
    standard_errors: Finite = 1.0
    workers: pydantic.PositiveInt | Literal["auto"] = "auto"

    def cost(self, num_folds: int, *, hard_labels: bool) -> float:
        """The cost of all rounds at most, in trainings on the whole pool: of each peer a half.

        Args:
            num_folds: F, peers a round.
            hard_labels: Whether the teacher gives hard labels only; students then decide as well.

        Example:
            >>> PeerOptions(most=1).cost(2, hard_labels=False), PeerOptions(most=1).cost(2, hard_labels=True)
            (2.0, 4.0)
            >>> PeerOptions(most=0).cost(2, hard_labels=True)
            0.0
        """
        return (self.alone + self.most + 2 * hard_labels) * num_folds / 2 if self.most else 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Peers:
    """The peers of a student, and their training data.

    Args:
        fresh: Makes an untrained student.
        data: Labelled examples, pool and perhaps a validation set, with the teacher's answers. If the teacher was
            trained on the labelled examples, its weight is fitted on the validation set only.
        ids: The content ids of the examples of each role.
        method: The method of a peer.
        train: How to train it.
        options: How many rounds, and how peers are stacked.
        seed: Seeds everything random.
        fold: [V], the fold of every labelled example, in 0..F-1.
        without_fold: For every fold the teacher's answers on the pool without it: F of them.
        folder: Where the peers' scores are stored as answers; rows with the same first peers share them.
    """

    fresh: Callable[[], Student]
    data: TrainingData
    ids: Mapping[str, Ids]
    method: Method
    train: TrainOptions
    options: PeerOptions
    seed: int
    fold: Int64[Tensor, "V"]
    without_fold: Sequence[Answers]
    folder: Path

    @functools.cached_property
    def answered(self) -> dict[str, AnsweredExamples]:
        """The parts of the data by role."""
        return self.data.by_role

    @functools.cached_property
    def untrained(self) -> Student:
        """An untrained student, for its specification and class names."""
        return self.fresh()

    @functools.cached_property
    def half(self) -> Int64[Tensor, "N"]:
        """The half of every pool example, 0 or 1."""
        generator = torch.Generator().manual_seed(derived_seed(self.seed, "halves"))
        return torch.randperm(len(self.answered["pool"]), generator=generator) % 2

    @functools.cached_property
    def hard_labels_only(self) -> bool:
        """Whether all answers of the teacher have the same margin, as hard labels have; they enter as posteriors."""
        return same_margins(torch.cat([each.answered.answers.margin for each in self.answered.values()]))

    @functools.cached_property
    def fingerprint(self) -> str:
        """Everything that the peers' predictions depend on, besides the round, as JSON: a part of their storage key."""
        content = hasher()
        for role in sorted(self.answered):
            each = self.answered[role]
            for part in (each.answers.class_indices, each.answers.class_probs, each.label if role != "pool" else None):
                content.update(b"" if part is None else part.contiguous().numpy().tobytes())
            content.update(self.ids[role].tobytes())
        for answers in self.without_fold:
            content.update(answers.class_indices.numpy().tobytes() + answers.class_probs.numpy().tobytes())
        content.update(self.fold.numpy().tobytes())
        if self.untrained.spec.name == GIVEN:
            # Nothing but its first weights describes a module made in Python.
            for value in self.untrained.module.state_dict().values():
                content.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        if (repeats := repeats_of([self.answered[role] for role in LABELLED_ROLES if role in self.answered])).any:
            content.update(repeats.content.numpy().tobytes() + repeats.group.numpy().tobytes())
        weighing = described(self.options, without=["most", "folds", "standard_errors", "workers"])
        return canonical_json(
            {
                "peers": described_student(self.untrained.spec),
                "method": described(self.method),
                "train": described(self.train, without=["checkpoint_seconds"]),
                "weighing": weighing,
                "trust_labelled_answers": self.data.trust_labelled_answers,
                "held_out_share": self.data.held_out_share,
                "seed": self.seed,
                "answers": content.hexdigest(),
                "names_only": self.hard_labels_only,
            }
        )

    @functools.cached_property
    def fingerprint_folder(self) -> Path:
        """The folder of these peers, named by their fingerprint."""
        return self.folder / digest(self.fingerprint.encode(), num_bytes=8)

    # --- one round

    def trained_on(self, number: int, fold: int) -> Int64[Tensor, "M"]:
        """The pool examples that the peer of a fold is trained on in a round."""
        return (self.half == (number + fold) % 2).nonzero()[:, 0]

    def predicted(self, number: int, fold: int) -> Int64[Tensor, "M"]:
        """Those that it predicts: the other half, which the fold's next peer is trained on; all in round 0."""
        return self.trained_on(number + 1, fold) if number else torch.arange(len(self.half))

    def scored(
        self, number: int, chains: Sequence[Mapping[str, AnsweredExamples]], after: Sequence[int] = ()
    ) -> "Scores":
        """Train a round's peers, or read their stored answers.

        Args:
            number: The round; 0 is that of the labels alone.
            chains: For each fold, the training data of its peer by role; its pool is that of `trained_on`.
            after: The rounds that were taken before, which determine `chains`.
        """
        name = "-".join(map(str, ("round", number, *(("after", *after) if after else ()))))
        folder = self.fingerprint_folder / name
        stores = {
            **{f"pool-by-{fold}": self.ids["pool"][self.predicted(number, fold)] for fold in range(self.num_folds)},
            **{role: self.ids[role] for role in self.answered if role in LABELLED_ROLES},
        }
        with alone_among_workers(self.fingerprint_folder):
            done = all((folder / role / "manifest.json").exists() for role in stores)
            # Every process must have checked the files before one of them writes.
            wait_for_all()
            values = {} if done else self._trained(number, chains, folder / "peers")
            kept = {}
            for turn in (True, False):
                if leads() is turn:
                    for role, ids in stores.items():
                        kept[role] = self._kept(folder / role, f"{role}, {name}", ids, values.get(role)).probs()
                wait_for_all()
            if leads():
                shutil.rmtree(folder / "peers", ignore_errors=True)
        return Scores(
            chains=tuple(kept[f"pool-by-{fold}"] for fold in range(self.num_folds)),
            pool=self._pooled(number, [kept[f"pool-by-{fold}"] for fold in range(self.num_folds)]),
            labelled={role: kept[role] for role in LABELLED_ROLES if role in kept},
        )

    @property
    def num_folds(self) -> int:
        """Number of folds, F."""
        return len(self.without_fold)

    def _pooled(self, number: int, chains: Sequence[Tensor]) -> Float[Tensor, "N K"]:
        """For every pool example the mean of the peers that predicted it."""
        total = torch.zeros(len(self.half), chains[0].shape[1])
        count = torch.zeros(len(self.half), 1)
        for fold, chain in enumerate(chains):
            rows = self.predicted(number, fold)
            total[rows] += chain
            count[rows] += 1
        return total / count

    def _kept(self, folder: Path, what: str, ids: Ids, values: Tensor | None) -> Answers:
        key = StoreKey(teacher=self.fingerprint, data=digest_of_ids(ids), transform=what, code=ANSWERS)

        def stored(rows: slice) -> Tensor:
            assert values is not None, "the store is finished"
            return values[rows]

        return answer(folder, ids, key, self.untrained.class_names, stored, source=f"answers of peers ({what})")

    def _trained(
        self, number: int, chains: Sequence[Mapping[str, AnsweredExamples]], folder: Path
    ) -> dict[str, Tensor]:
        """Train every peer of a round and join their predictions for examples that they were not trained on."""
        paths = [folder / f"{fold}.safetensors" for fold in range(self.num_folds)]
        run_jobs(
            [functools.partial(self._peer, number, fold, chains[fold], path) for fold, path in enumerate(paths)],
            workers=self.options.workers,
        )
        wait_for_all()
        answered = [self._stored(number, fold, path) for fold, path in enumerate(paths)]
        values = {f"pool-by-{fold}": each["pool"] for fold, each in enumerate(answered)}
        values["labelled"] = torch.empty(len(self.fold), len(self.untrained.class_names))
        for fold, each in enumerate(answered):
            values["labelled"][rows_within(self.fold, fold)] = each["labelled"]
        if "validation" in self.answered:
            values["validation"] = torch.stack([each["validation"] for each in answered]).mean(dim=0)
        return values

    def _whose(self, number: int, fold: int) -> str:
        return f"{self.fingerprint}, round {number}, fold {fold}"

    def _stored(self, number: int, fold: int, path: Path) -> dict[str, Tensor]:
        found = stored_scores(path, self._whose(number, fold))
        assert found is not None, "it was written just now, or found whole"
        return found

    def _peer(self, number: int, fold: int, chain: Mapping[str, AnsweredExamples], path: Path) -> None:
        """Train one peer and store its predictions for the other half, its fold and the validation examples."""
        exists = stored_scores(path, self._whose(number, fold)) is not None
        wait_for_all()
        if exists:
            return
        checkpoint = path.with_suffix(".checkpoint")
        path.parent.mkdir(parents=True, exist_ok=True)
        result = distilled(
            self.fresh(),
            self.data.with_roles({**chain, "labelled": chain["labelled"].take(rows_without(self.fold, fold))}),
            method=_on_half_a_pool(self.method) if number else labelled_only(),
            options=self.train,
            seed=derived_seed(self.seed, "peer", number, fold),
            resume=Resume(checkpoint=checkpoint),
        )
        predicted = {
            "labelled": self.answered["labelled"].place[rows_within(self.fold, fold)],
            "pool": self.answered["pool"].place[self.predicted(number, fold)],
            **({"validation": chain["validation"].place} if "validation" in chain else {}),
        }
        scores = {
            role: result.student.probs(Placed(inputs=self.data.inputs, place=place))
            for role, place in predicted.items()
        }
        if leads():
            store_scores(path, scores, self._whose(number, fold))
            checkpoint.unlink(missing_ok=True)
        wait_for_all()


def _on_half_a_pool(method: Method) -> Method:
    """The method with half of what its selector keeps, if that is a number of rows; a share does not change."""
    kept = {option: getattr(method.select, option, 0) for option in ("budget", "quota")}
    for option, rows in kept.items():
        if rows > 1:
            method = override(method, f"select.{option}", int(rows // 2))
    return method


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scores:
    """Predictions of a round's peers for examples that they were not trained on.

    Args:
        chains: For each fold, [M, K] for the pool examples that its peer predicted.
        pool: [N, K], the mean over the peers that predicted an example.
        labelled: By role, [V, K] for examples with known labels.
    """

    chains: tuple[Float[Tensor, "_ _"], ...]
    pool: Float[Tensor, "N K"]
    labelled: Mapping[str, Float[Tensor, "_ _"]]

    @property
    def by_role(self) -> dict[str, Tensor]:
        """The scores of the pool and of the examples with known labels."""
        return {**self.labelled, "pool": self.pool}
