"""On what the rows of a table were judged: a test, the labelled rows by cross-validation, or nothing."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedOn:
    """What a run's numbers are estimated on.

    Args:
        kind: A test that no student has seen; labelled rows, each answered by students trained without its fold; or
            nothing, where a run only trains.
        num_examples: Different examples, in one seed.
        num_folds: Of cross-validation; else 0.
    """

    kind: Literal["test", "cross-validation", "nothing"]
    num_examples: int = 0
    num_folds: int = 0

    @classmethod
    def of(cls, num_examples: int, num_folds: int) -> "JudgedOn":
        """By the numbers: without folds a test, without examples nothing."""
        if not num_examples:
            return cls(kind="nothing")
        kind: Literal["test", "cross-validation"] = "cross-validation" if num_folds else "test"
        return cls(kind=kind, num_examples=num_examples, num_folds=num_folds)

    def words(self) -> str:
        """In a few words.

        Example:
            >>> JudgedOn.of(120, 5).words()
            'cross-validated over 120 labelled rows (5 folds)'
            >>> JudgedOn.of(300, 0).words(), JudgedOn.of(0, 0).words()
            ('judged on 300 test examples', 'not judged')
        """
        return {
            "test": f"judged on {self.num_examples:,} test examples",
            "cross-validation": f"cross-validated over {self.num_examples:,} labelled rows ({self.num_folds} folds)",
            "nothing": "not judged",
        }[self.kind]

    def sentence(self) -> str:
        """What a reader must know of numbers that are not of a test; empty for a test."""
        words = self.words()
        return {
            "test": "",
            "cross-validation": (
                f"{words[0].upper()}{words[1:]}: each is answered by students trained without its fold; those of the "
                f"run itself are trained on all folds, which no interval counts."
            ),
            "nothing": (
                "Not judged: there is no test ('data.rows.test' is 0), so nothing is known of how often these students "
                "are right; give a test, or leave that option out, and labelled rows are cross-validated."
            ),
        }[self.kind]
