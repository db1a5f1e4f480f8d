"""Every number of every part has a range, and what is outside it is refused wherever it is given."""

import dataclasses
import math
import types
from typing import Annotated, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from overproof.errors import InputError
from overproof.methods.composition import Method, Objective, override
from overproof.methods.losses import AdaptationMatrix
from overproof.methods.published import method
from overproof.methods.targets import SelfDistilled
from overproof.methods.weights import Debiased
from overproof.options import allowed, checked_value
from overproof.registry import entries
from overproof.runs.experiment import experiment_from
from overproof.training.options import TrainOptions
from overproof.training.peer_rounds.peers import PeerOptions

ROOM = {"data": {"files": {"all": {"path": "x.csv"}}, "rows": {"labelled": 5, "test": 5}}}
PLACES = {"loss": "pool.loss", "weight": "pool.weight", "target": "pool.target", "select": "select", "noise": "noise"}


def groups(group):
    """A dataclass and the groups of options among its options that are no registered parts."""
    yield group
    for hint in get_type_hints(group).values():
        if dataclasses.is_dataclass(hint) and hint.__module__ == group.__module__:
            yield from groups(hint)


def branches(hint):
    """The kinds of number an option may be: type and limits of each."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        for each in inner:
            yield from branches(each)
    elif origin is tuple:
        yield from (dict(each, listed=True) for each in branches(inner[0]))
    elif origin is Annotated:
        marks = [mark for each in inner[1:] for mark in getattr(each, "metadata", [each])]
        names = ("gt", "ge", "lt", "le", "allow_inf_nan")
        limits = {name: getattr(mark, name) for mark in marks for name in names if hasattr(mark, name)}
        for each in branches(inner[0]):
            yield each | {name: limit for name, limit in limits.items() if limit is not None}
    elif hint in (int, float):
        yield {"type": hint, "listed": False}


def outside(branch):
    """Values of a kind that are out of its range."""
    number = branch["type"]

    def beyond(limit, way):
        return limit + way if number is int else math.nextafter(float(limit), way * math.inf)

    if "gt" in branch:
        yield number(branch["gt"])
    if "ge" in branch:
        yield beyond(branch["ge"], -1)
    if "lt" in branch:
        yield number(branch["lt"])
    if "le" in branch:
        yield beyond(branch["le"], 1)
    if number is float:
        yield math.nan
        if branch.get("allow_inf_nan") is False:
            yield from (math.inf, -math.inf)


def accepted(branch, value):
    """Whether a value is within a range."""
    if branch["type"] is int and value != int(value if math.isfinite(value) else 0):
        return False
    low = value > branch["gt"] if "gt" in branch else value >= branch.get("ge", -math.inf)
    high = value < branch["lt"] if "lt" in branch else value <= branch.get("le", math.inf)
    return low and high and (math.isfinite(value) or branch.get("allow_inf_nan", branch["type"] is float))


CASES = [
    (entry, group, field.name, get_type_hints(group, include_extras=True)[field.name])
    for entry in entries()
    if entry.kind != "method"
    for group in groups(entry.make)
    for field in dataclasses.fields(group)
    if list(branches(get_type_hints(group, include_extras=True)[field.name]))
]
WRONG = [
    pytest.param(entry, group, name, [value] if branch["listed"] else value, id=f"{group.__name__}.{name}={value}")
    for entry, group, name, hint in CASES
    for branch in branches(hint)
    for value in outside(branch)
    if branch["listed"] or not any(accepted(each, value) for each in branches(hint))
]


@pytest.mark.parametrize(("entry", "group", "name", "hint"), CASES, ids=lambda each: getattr(each, "__name__", None))
def test_every_number_of_a_part_has_a_range(entry, group, name, hint):
    for branch in branches(hint):
        assert branch.keys() & {"gt", "ge", "lt", "le", "allow_inf_nan"}, f"{group.__name__}.{name} takes any number"


def test_there_are_numbers_to_check():
    found = {(group.__name__, name) for _, group, name, _ in CASES}
    assert found >= {
        ("Debiased", "cap"),
        ("Debiased", "neighbours"),
        ("Isotonic", "lower_bound"),
        ("Isotonic", "prior"),
        ("AdaptationMatrix", "diagonal"),
        ("ImitationSearch", "candidates"),
        ("Confident", "budget"),
        ("Random", "seed"),
    }
    assert len(WRONG) >= 40


@pytest.mark.parametrize(("entry", "group", "name", "value"), WRONG)
def test_what_is_out_of_range_is_refused_when_a_part_is_made(entry, group, name, value):
    given = tuple(value) if isinstance(value, list) else value
    with pytest.raises(InputError) as refused:
        group(**{name: given})
    hint = get_type_hints(group, include_extras=True)[name]
    assert str(refused.value) == f"Option {name!r} of {group.__name__} is {given!r}; it must be {allowed(hint)}."


@pytest.mark.parametrize(("entry", "group", "name", "value"), WRONG)
def test_what_is_out_of_range_is_refused_by_its_path(entry, group, name, value):
    place = PLACES[entry.kind]
    built = override(Method(), place, entry.name)
    path = f"{place}.{name}" if group is entry.make else f"{place}.search.{name}"
    with pytest.raises(InputError) as refused:
        override(built, path, value)
    hint = get_type_hints(group, include_extras=True)[name]
    assert str(refused.value) == f"Option {path!r} is {value!r}; it must be {allowed(hint)}."


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "methods=[{method: wd, options: {pool.weight.cap: -1}}]",
            "'pool.weight.cap' is -1; it must be a number above 0.",
        ),
        (
            "methods=[{method: wd, options: {noise.lower_bound: 3}}]",
            "'noise.lower_bound' is 3; it must be a number in [0, 1] or 'auto'.",
        ),
        (
            "methods=[{method: wd, options: {noise.prior: -1}}]",
            "'noise.prior' is -1; it must be a finite number of at least 0.",
        ),
        (
            "methods=[{method: hard, options: {select: {name: random, budget: 1.5}}}]",
            "'select.budget' is 1.5; it must be a whole number of at least 1 or a number in (0, 1).",
        ),
        (
            "methods=[{method: wd, options: {generations: 0}}]",
            "'generations' is 0; it must be a whole number of at least 1.",
        ),
        (
            "methods=[{method: wd, rounds: {folds: 1}}]",
            "'methods.0.rounds.folds' is 1; it must be a whole number of at least 2 or 'auto'.",
        ),
        ("train.labelled_share=7", "'train.labelled_share' is 7; it must be a number in [0, 1] or 'auto'."),
        (
            "teacher.train.labelled_share=nan",
            "'teacher.train.labelled_share' is 'nan'; it must be a number in [0, 1] or 'auto'.",
        ),
        ("train.learning_rate=0", "'train.learning_rate' is 0; it must be a number above 0 or 'auto'."),
        (
            "train.device=nonsense",
            "'train.device' is 'nonsense': it must be 'auto', 'cpu', 'cuda' or another device that PyTorch supports.",
        ),
        (
            "methods=[{method: auto, options: {search.methods: []}}]",
            "'search.methods' is []; it must be a list of text, at least 1.",
        ),
        (
            "methods=[{method: auto, options: {search.budget: .inf}}]",
            "'search.budget' is inf; it must be a finite number above 0.",
        ),
        ("held_out_share=1", "'held_out_share' is 1: input should be less than 1."),
    ],
)
def test_an_experiment_with_a_number_out_of_range_is_refused(change, words):
    with pytest.raises(InputError) as refused:
        experiment_from(ROOM, [change])
    assert str(refused.value) == f"Option {words}"


@pytest.mark.parametrize(
    ("group", "options", "words"),
    [
        (TrainOptions, {"labelled_share": 7}, "'labelled_share' is 7; it must be a number in [0, 1] or 'auto'."),
        (TrainOptions, {"epochs": 0}, "'epochs' is 0; it must be a whole number above 0 or 'auto'."),
        (TrainOptions, {"ema": math.nan}, "'ema' is nan; it must be a finite number in [0, 1)."),
        (PeerOptions, {"folds": 1}, "'folds' is 1; it must be a whole number of at least 2 or 'auto'."),
    ],
)
def test_a_group_of_options_with_a_number_out_of_range_is_refused(group, options, words):
    with pytest.raises(InputError) as refused:
        group(**options)
    assert str(refused.value) == f"Option {words}"


def test_a_cuda_device_that_is_not_there_is_refused_where_it_is_used():
    with pytest.raises(InputError, match=r"Option 'train.device' is 'cuda:77'; this machine has \d+ CUDA devices\."):
        TrainOptions(device="cuda:77").resolved_device()


def test_whole_numbers_become_floats_and_lists_tuples_so_that_keys_are_the_same():
    built = override(method("wd"), "pool.weight.cap", 2)
    assert built == override(method("wd"), "pool.weight.cap", 2.0)
    assert repr(built.pool.weight.cap) == "2.0"
    dfnd = override(method("dfnd"), "pool.loss.diagonal", [0.5, 1])
    assert repr(dfnd.pool.loss.diagonal) == "(0.5, 1.0)"


def test_the_ends_of_a_range_are_allowed():
    assert Debiased(cap=math.inf).cap == math.inf
    assert AdaptationMatrix(diagonal=1.0, divergence=0.0).divergence == 0
    assert SelfDistilled(imitation=-3.5).imitation == -3.5
    assert checked_value(type(method("dfnd").select), "budget", 1, "'budget'") == 1


def test_a_part_of_ones_own_cannot_be_changed_by_a_path():
    def target(batch):
        return batch.teacher_probs

    with pytest.raises(InputError, match=r"'pool.target' is a custom part, which no path can change"):
        override(Method(pool=Objective(target=target)), "pool.target", "soft")


def test_what_is_allowed_is_said_in_words():
    assert allowed(Annotated[int, "no range"]) == "a whole number"
    assert allowed(float | None) == "a number or null"
    assert allowed(Literal["a", "b"] | bool) == "'a' or 'b' or true or false"
