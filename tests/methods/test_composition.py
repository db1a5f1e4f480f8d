"""What a method says of itself: how many students it trains, what it needs, and which powers it has."""

import math
from dataclasses import replace

import pytest

from overproof.errors import InputError
from overproof.methods.composition import Objective, override
from overproof.methods.losses import TemperedDivergence
from overproof.methods.published import method, method_names
from overproof.methods.targets import SelfDistilled


def test_the_number_of_students_that_a_method_trains():
    for name in method_names():
        built = method(name)
        if built.search is not None:
            assert built.num_trainings == 1 + math.ceil(built.search.budget) > 2
        else:
            assert built.num_trainings == (2 if name == "self_distilled" else 1)
    sought = method("self_distilled")
    assert sought.sought is not None
    assert replace(sought, generations=3).num_trainings == 4
    assert replace(method("hard"), generations=3).num_trainings == 3
    chosen = sought.with_imitation(0.25)
    assert (chosen.sought, chosen.num_trainings, chosen.labelled.target.imitation) == (None, 1, 0.25)
    half = replace(method("auto"), search=replace(method("auto").search, budget=2.5))
    assert half.num_trainings == 4


def test_the_powers_of_a_prediction_powered_method_are_those_of_both_sides():
    assert method("hard").rectified is None
    labelled, pool = method("prediction_powered").rectified
    assert labelled == pool > 0
    alone = replace(method("hard"), labelled=method("prediction_powered").labelled)
    assert alone.rectified == (labelled, 0.0)
    alone = replace(method("hard"), pool=method("prediction_powered").pool)
    assert alone.rectified == (0.0, pool)


def test_a_mix_beyond_the_label_needs_a_loss_that_is_linear_in_its_target():
    with pytest.raises(InputError, match=r"Target SelfDistilled mixes label and answer.*TemperedDivergence is not"):
        Objective(target=SelfDistilled(imitation=1.5), loss=TemperedDivergence())
    assert replace(method("hard"), pool=Objective(target=SelfDistilled(imitation=1.5))).extrapolates
    assert not replace(method("hard"), pool=Objective(target=SelfDistilled(imitation=0.5))).extrapolates


def test_a_method_is_shown_by_its_name_or_by_what_differs_from_a_plain_one():
    assert [repr(method(name)) for name in method_names()] == [f"Method({name!r})" for name in method_names()]
    changed = override(override(method("slam_auto"), "noise.lower_bound", 0.6), "select", "confident")
    assert repr(changed) == (
        "Method(pool.loss=StudentLabelMixing(normalized='auto'), noise=Isotonic(lower_bound=0.6), select=Confident())"
    )
    assert (
        repr(replace(method("soft"), generations=2)) == "Method(pool.target=Soft(), noise=Noiseless(), generations=2)"
    )
