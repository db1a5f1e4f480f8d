"""What a method leaves to the labelled examples: other methods, and the student's own training options."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from overproof.options import NotNegative, Positive, checked

Rounds = Annotated[int, Field(ge=0, le=3)]


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """The candidates of a search on labelled examples out of sample, and what it may cost.

    Args:
        methods: Names of methods.
        learning_rates: Multiples of the learning rate that are tried, one step from the best so far at a time.
        weight_decays: Multiples of the weight decay that are tried, likewise.
        balanced: Whether weights that give every class the same total are tried.
        rounds: Peer rounds of the final student at most, in 0..3; each is taken only if the labelled log-loss falls.
            There are none where their cost leaves too little of the budget for candidates, as with hard labels.
        budget: The cost of candidates and rounds at most, in trainings of the final student, which comes on top.
            Candidates that are left when it is used up are not tried.
        standard_errors: A candidate whose log-loss exceeds the lowest by at most this number of standard errors of the
            paired difference counts as good as the best; of these, the one that comes first in the order of
            `overproof.training.search.preference` is chosen. 0 takes the lowest.
    """

    methods: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "hard",
        "soft",
        "slam_auto",
        "forward",
        "answer_sets",
        "labelled_only",
    )
    learning_rates: tuple[Positive, ...] = (1.0, 0.25, 0.0625, 4.0)
    weight_decays: tuple[Positive, ...] = (1.0,)
    balanced: bool = True
    rounds: Rounds = 1
    budget: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 9.0
    standard_errors: NotNegative = 0.5
