"""Peer rounds: students correct their teacher, and every label is used out of sample.

A student that sees what its teacher does not see (another view of the data, another bias) is right where the teacher
is wrong, and distillation alone does not use that. So: train students, *peers*, on parts of the data; let each score
what it was not trained on; weigh teacher and peers against each other on the labelled examples; give the final student
the corrected answers. `overproof.rounds` does that until it no longer helps.

Who trains on what. The labelled examples are cut into F folds, the pool into two halves. For every fold and half one
peer is trained on that half of the pool and the labels of the *other* folds; it scores the other half of the pool and
the labels of its own fold. The peers that never touched a fold are a chain of their own: what they train on in the
second round was corrected by the chain's own peers of the first. So a label enters the scores of its own example in no
round, but for what all examples share: the weights of the stack and the curve of the teacher's accuracy.
"""

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pydantic
import safetensors.torch
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from overproof import atomic
from overproof.answered import Answered, Placed
from overproof.distillation import distilled
from overproof.forked import run_jobs
from overproof.labels import Answers, answer
from overproof.method import Method
from overproof.models import Inputs, Student
from overproof.noise import folds
from overproof.processes import leads, wait_for_all
from overproof.sampler import derived_seed
from overproof.shard import Ids, StoreKey, digest_of_ids
from overproof.train_options import TrainOptions
from overproof.version import __version__

MOST_ROUNDS = 3
"""Later rounds have nothing left to add: peers that share a pool's corrected answers agree with each other."""


class PeerOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How many rounds, and how the peers are made and weighed.

    Args:
        most: Rounds at most, in 0..3; a round that does not lower the labelled log-loss is not taken and is the last.
        folds: Folds of the labelled examples, at least 2; a round trains two peers for each, on half of the pool.
        bias: Whether the stack also learns a bias for every class.
        penalty: How many examples' worth of trust the stack's starting point has.
        standard_errors: By so many standard errors of the paired difference the labelled log-loss must fall.
        workers: How many peers train at a time; `auto` is one a core where that is safe. It changes no byte.
    """

    most: int = pydantic.Field(0, ge=0, le=MOST_ROUNDS)
    folds: int = pydantic.Field(2, ge=2)
    bias: bool = False
    penalty: pydantic.PositiveFloat = 1.0
    standard_errors: pydantic.NonNegativeFloat = 1.0
    workers: pydantic.PositiveInt | Literal["auto"] = "auto"


@dataclass(frozen=True, kw_only=True, eq=False)
class Peers:
    """All that peers are made from.

    Args:
        fresh: Makes an untrained student.
        inputs: Encoded examples.
        answered: "labelled" and "pool" among them, perhaps "validation", with the teacher's answers.
        ids: The content ids of each.
        method: What is asked of a peer.
        train: How it is trained.
        options: How many, and how they are weighed.
        seed: Decides everything random.
        folder: Where the peers' scores are kept as answers; rows that begin with the same peers share them.
        trust_labelled_answers: False where the teacher was trained on the labelled examples: it is then weighed on
            `validation` alone.
        held_out_share: As in `distilled`.
    """

    fresh: Callable[[], Student]
    inputs: Inputs
    answered: Mapping[str, Answered]
    ids: Mapping[str, Ids]
    method: Method
    train: TrainOptions
    options: PeerOptions
    seed: int
    folder: Path
    trust_labelled_answers: bool = True
    held_out_share: float = 0.3

    @functools.cached_property
    def untrained(self) -> Student:
        """A student nobody trains, to ask what it is."""
        return self.fresh()

    @functools.cached_property
    def fold(self) -> Int64[Tensor, "V"]:
        """The fold of every labelled example."""
        return folds(self.answered["labelled"].label, self.options.folds, derived_seed(self.seed, "peers"))

    @functools.cached_property
    def half(self) -> Int64[Tensor, "N"]:
        """The half of every pool example, 0 or 1."""
        generator = torch.Generator().manual_seed(derived_seed(self.seed, "halves"))
        return torch.randperm(len(self.answered["pool"]), generator=generator) % 2

    @functools.cached_property
    def words(self) -> str:
        """Everything the peers' scores follow from, besides the round."""
        said = hashlib.blake2b(digest_size=16)
        for role in sorted(self.answered):
            each = self.answered[role]
            for part in (each.answers.class_indices, each.answers.class_probs, each.label if role != "pool" else None):
                said.update(b"" if part is None else part.contiguous().numpy().tobytes())
            said.update(self.ids[role].tobytes())
        recipe = (
            self.untrained.spec,
            self.method,
            self.train.model_dump(exclude={"checkpoint_seconds"}),
            self.options.model_dump(include={"folds", "bias", "penalty"}),
            self.trust_labelled_answers,
            self.held_out_share,
            self.seed,
        )
        return f"peers {recipe!r} on answers {said.hexdigest()}"

    @functools.cached_property
    def home(self) -> Path:
        """The folder of these peers."""
        return self.folder / hashlib.blake2b(self.words.encode(), digest_size=8).hexdigest()

    # --- one round

    def scored(self, number: int, chains: Sequence[Mapping[str, Answered]]) -> "Scores":
        """Train a round's peers, or read what they said.

        Args:
            number: The round, from 1.
            chains: For each fold, the answers its peers train on.
        """
        folder = self.home / f"round-{number}"
        wanted = [*(("pool", fold) for fold in range(self.options.folds)), *((role, -1) for role in self._judges())]
        done = all((_store(folder, role, fold) / "manifest.json").exists() for role, fold in wanted)
        # Every process must have seen the same before one of them writes.
        wait_for_all()
        values = {} if done else self._trained(number, chains, folder / "peers")
        if leads():
            for role, fold in wanted:
                self._kept(number, folder, role, fold, values)
        wait_for_all()
        kept = {(role, fold): self._kept(number, folder, role, fold, values) for role, fold in wanted}
        if leads():
            for path in (folder / "peers").glob("*"):
                path.unlink()
            if (folder / "peers").exists():
                (folder / "peers").rmdir()
        return Scores(
            chains=tuple(kept["pool", fold].probs() for fold in range(self.options.folds)),
            judged={role: kept[role, -1].probs() for role in self._judges()},
        )

    def _judges(self) -> tuple[str, ...]:
        """Roles whose labels are known."""
        return ("labelled", *(["validation"] if "validation" in self.answered else []))

    def _kept(
        self, number: int, folder: Path, role: str, fold: int, values: Mapping[tuple[str, int], Tensor]
    ) -> Answers:
        key = StoreKey(
            teacher=self.words,
            data=digest_of_ids(self.ids[role]),
            transform=f"{role}, round {number}, fold {fold}",
            code=f"overproof {__version__}",
        )
        names, source = self.untrained.class_names, f"the {role} examples"
        return answer(
            _store(folder, role, fold),
            self.ids[role],
            key,
            names,
            lambda rows: values[role, fold][rows],
            source=source,
        )

    def _trained(
        self, number: int, chains: Sequence[Mapping[str, Answered]], folder: Path
    ) -> dict[tuple[str, int], Tensor]:
        """Train every peer of a round and put together what they say of examples they were not trained on."""
        pairs = [(fold, half) for fold in range(self.options.folds) for half in (0, 1)]
        jobs = [
            functools.partial(self._peer, number, fold, half, chains[fold], folder / f"{fold}-{half}.safetensors")
            for fold, half in pairs
        ]
        run_jobs(jobs, workers=self.options.workers)
        wait_for_all()
        said = {
            (fold, half): safetensors.torch.load((folder / f"{fold}-{half}.safetensors").read_bytes())
            for fold, half in pairs
        }
        num_classes = len(self.untrained.class_names)
        values = {}
        for fold in range(self.options.folds):
            chain = torch.empty(len(self.half), num_classes)
            for half in (0, 1):
                chain[self.half != half] = said[fold, half]["pool"]
            values["pool", fold] = chain
        labelled = torch.empty(len(self.fold), num_classes)
        for fold in range(self.options.folds):
            labelled[self.fold == fold] = torch.stack([said[fold, half]["labelled"] for half in (0, 1)]).mean(dim=0)
        values["labelled", -1] = labelled
        if "validation" in self.answered:
            values["validation", -1] = torch.stack([said[pair]["validation"] for pair in pairs]).mean(dim=0)
        return values

    def _peer(self, number: int, fold: int, half: int, chain: Mapping[str, Answered], path: Path) -> None:
        """Train one peer and write down what it says of the other half, of its fold and of the validation examples."""
        exists = path.exists()
        wait_for_all()
        if exists:
            return
        labelled, pool = chain["labelled"], chain["pool"]
        checkpoint = path.with_suffix(".checkpoint")
        path.parent.mkdir(parents=True, exist_ok=True)
        result = distilled(
            self.fresh(),
            self.inputs,
            labelled.take((self.fold != fold).nonzero()[:, 0]),
            pool.take((self.half == half).nonzero()[:, 0]),
            method=self.method,
            options=self.train,
            seed=derived_seed(self.seed, "peer", number, fold, half),
            validation=chain.get("validation"),
            trust_labelled_answers=self.trust_labelled_answers,
            held_out_share=self.held_out_share,
            checkpoint=checkpoint,
        )
        asked = {
            "labelled": labelled.take((self.fold == fold).nonzero()[:, 0]),
            "pool": pool.take((self.half != half).nonzero()[:, 0]),
            **({"validation": chain["validation"]} if "validation" in chain else {}),
        }
        scores = {
            role: result.student.probs(Placed(inputs=self.inputs, place=each.place)) for role, each in asked.items()
        }
        if leads():
            atomic.write_bytes(path, safetensors.torch.save(scores))
            checkpoint.unlink(missing_ok=True)
        wait_for_all()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scores:
    """What a round's peers say of examples they were not trained on.

    Args:
        chains: For each fold of the labelled examples, [N, K] for the pool by the peers that never touched the fold.
        judged: By role, [V, K] for examples with known labels.
    """

    chains: tuple[Float[Tensor, "N K"], ...]
    judged: Mapping[str, Float[Tensor, "_ _"]]

    @property
    def pool(self) -> Float[Tensor, "N K"]:
        """The mean over the chains."""
        return torch.stack(self.chains).mean(dim=0)


def _store(folder: Path, role: str, fold: int) -> Path:
    return folder / (role if fold < 0 else f"{role}-without-fold-{fold}")
