"""A teacher's answers found by what an example holds, for teachers that correct another one."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.data import Examples
from overproof.noise.combination import hard_labels
from overproof.seeds import hasher
from overproof.storage.id_index import IdIndex

SURE = 0.9
"""The probability of a label that stands alone, the others sharing the rest: its logarithm must be finite."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AnswersByContent:
    """The answers of a teacher to all examples that another one will answer.

    Args:
        index: Finds an example's row by its content id.
        probs: [M, K], of every content; the mean where a content was answered several times. Labels alone have
            probability `SURE`.
        answered: [M], whether the teacher has an answer.
        fingerprint: Of all answers.
    """

    index: IdIndex
    probs: Float[Tensor, "M K"]
    answered: Bool[Tensor, "M"]
    fingerprint: str

    @classmethod
    def of(cls, parts: Iterable[tuple[Examples, Answers]]) -> "AnswersByContent":
        """The answers of some roles.

        Args:
            parts: The examples and the answers of each role, which are aligned.

        Example:
            >>> from overproof.answers.predictions import compress
            >>> from overproof.data import from_arrays
            >>> texts = from_arrays(["a", "b"], class_names=["no", "yes"])
            >>> found = AnswersByContent.of([(texts, compress(torch.tensor([[0.75, 0.25], [0.5, 0.5]])))])
            >>> found.find(from_arrays(["b", "a"], class_names=["no", "yes"]))[0].tolist()
            [[0.5, 0.5], [0.75, 0.25]]
        """
        given = list(parts)
        ids = np.concatenate([examples.ids.view("S16") for examples, _ in given])
        probs = torch.cat([answers.probs() for _, answers in given]).double()
        answered = torch.cat([answers.answered for _, answers in given])
        contents, first, place = np.unique(ids, return_index=True, return_inverse=True)
        rows = torch.from_numpy(place.reshape(-1))[answered]
        count = torch.bincount(rows, minlength=len(contents))
        total = torch.zeros(len(contents), probs.shape[1], dtype=torch.float64).index_add_(0, rows, probs[answered])
        mean = torch.where(count[:, None] > 0, total / count.clamp(min=1)[:, None], probs[torch.from_numpy(first)])
        if hard_labels([probs[answered]])[0]:
            mean = SURE * mean + (1 - SURE) / probs.shape[1]
        hashed = hasher()
        hashed.update(contents.tobytes())
        hashed.update(mean.numpy().tobytes())
        hashed.update((count > 0).numpy().tobytes())
        return cls(index=IdIndex(contents), probs=mean, answered=count > 0, fingerprint=hashed.hexdigest())

    def find(self, examples: Examples) -> tuple[Float[Tensor, "N K"], Bool[Tensor, "N"]]:
        """The answers to some of the examples, and whether there is one; without one all classes are as likely.

        Args:
            examples: N of those whose answers are here.
        """
        rows, known = self.index.find(examples.ids)
        assert known.all(), "the answers to every example are here"
        place = torch.from_numpy(rows)
        return self.probs[place], self.answered[place]
