"""The search for ξ on held-out labels, coarse to fine; results are stored, so that an interrupted search resumes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from overproof.errors import InputError
from overproof.functional import held_out_imitation, label_distribution
from overproof.methods.targets.self_distilled import ImitationSearch
from overproof.processes import leads, wait_for_all
from overproof.storage import checked
from overproof.storage.keys import CHECKPOINT_FORMAT
from overproof.training.checkpoint import check_format


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The chosen ξ, with the scores of all that were tried.

    Args:
        imitation: The chosen ξ: of those tried the one with the lowest score, of equal ones the smallest.
        criterion: The criterion of the score.
        closed_form: The guess of `functional.held_out_imitation` from the student at ξ = 1, where that was tried.
        tried: Every ξ tried with its score on the held-out labels, by rising ξ.
    """

    imitation: float
    criterion: str
    closed_form: float | None
    tried: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOutScore:
    """The score of one student on held-out labels.

    Args:
        score: The criterion; lower is better.
        closed_form: The closed-form estimate of ξ from the student at ξ = 1; meaningless for any other student.
    """

    score: float
    closed_form: float


def held_out_score(
    search: ImitationSearch,
    label: Int[Tensor, "N"],
    teacher_probs: Float[Tensor, "N K"],
    student_probs: Float[Tensor, "N K"],
) -> HeldOutScore:
    """Score a student on held-out labels, noisy ones too.

    `squared`: the mean of |one-hot label - answer|^2. With a noisy label this is the squared distance from the answer
    to E[label | x], plus the label's own variance, which is the same for every ξ. `accuracy`: the share of labels that
    are not the answer's likeliest class, which under symmetric noise is an affine map of the true error.

    Args:
        search: The search that sets the criterion.
        label: [N], given labels of examples that neither teacher nor student was trained on.
        teacher_probs: [N, K], the teacher's answers.
        student_probs: [N, K], the student's.

    Example:
        >>> import torch
        >>> half = torch.tensor([[0.5, 0.5]])
        >>> held_out_score(ImitationSearch(), torch.tensor([0]), half, half).score
        0.5
    """
    if search.criterion == "accuracy":
        score = (student_probs.argmax(dim=1) != label).double().mean().item()
    else:
        distance = (label_distribution(label, student_probs) - student_probs).double().square().sum(dim=1)
        score = distance.mean().item()
    return HeldOutScore(score=score, closed_form=held_out_imitation(label, teacher_probs, student_probs))


def choose(search: ImitationSearch, evaluate: Callable[[float], HeldOutScore]) -> Choice:
    """Try the candidates and the closed-form guess, then `halvings` times the midpoints beside the best.

    Args:
        search: The candidates and the number of halvings.
        evaluate: Trains the student of one ξ and returns its score.

    Example:
        The best ξ is 1.3: of 0, 1 and 2 it is 1, and of the midpoints .5 and 1.5 the second is better.

        >>> search = ImitationSearch(candidates=(0.0, 1.0, 2.0), halvings=1)
        >>> choose(search, lambda imitation: HeldOutScore(score=(imitation - 1.3) ** 2, closed_form=9.0)).imitation
        1.5
    """
    scored = {imitation: evaluate(imitation) for imitation in search.candidates}
    closed_form = scored[1.0].closed_form if 1.0 in scored else None
    if closed_form is not None:
        # Two digits, so that a midpoint is a short number.
        guess = round(min(max(closed_form, search.candidates[0]), search.candidates[-1]), 2)
        scored.setdefault(guess, evaluate(guess) if guess not in scored else scored[guess])
    for _ in range(search.halvings):
        tried = sorted(scored)
        place = tried.index(_best(scored))
        for neighbour in tried[max(place - 1, 0) : place] + tried[place + 1 : place + 2]:
            midpoint = (tried[place] + neighbour) / 2
            scored[midpoint] = evaluate(midpoint)
    return Choice(
        imitation=_best(scored),
        criterion=search.criterion,
        closed_form=closed_form,
        tried=tuple((imitation, scored[imitation].score) for imitation in sorted(scored)),
    )


@dataclass(kw_only=True, slots=True, eq=False)
class StoredResults:
    """Results of several trainings so far, stored in a file if there is a folder.

    Args:
        folder: Folder of the file; None stores nothing.
        fingerprint: Of everything that the trainings depend on; a file with another one is rejected.
        values: Values for JSON by name.
    """

    folder: Path | None
    fingerprint: str
    values: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        path = self._path
        if path is not None and path.exists():
            try:
                content = checked.read_json(path, ("format", "fingerprint", "found"))
            except checked.WithoutChecksum:
                # Earlier formats had none.
                content = {}
            except checked.Damaged as error:
                raise InputError(
                    f"{path} is damaged ({error}); delete it to train this student from the beginning."
                ) from None
            check_format(path, content.get("format"))
            fingerprint, found = content["fingerprint"], dict(content["found"])
            if fingerprint != self.fingerprint:
                raise InputError(
                    f"{path} belongs to a run with other options or data; delete it or choose another folder."
                )
            self.values = found
        # Every process must have read the file before one of them writes.
        wait_for_all()

    @property
    def _path(self) -> Path | None:
        return None if self.folder is None else self.folder / "notes.json"

    def add(self, name: str, value: Any) -> None:
        """Store a value."""
        self.values[name] = value
        if self._path is not None and leads():
            content = {"format": CHECKPOINT_FORMAT, "fingerprint": self.fingerprint, "found": self.values}
            checked.write_json(self._path, content)


def _best(scored: dict[float, HeldOutScore]) -> float:
    return min(sorted(scored), key=lambda imitation: scored[imitation].score)
