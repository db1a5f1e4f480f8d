"""Answers spoilt by class, biased, or reduced to one class: exact laws, hand numbers, and what is refused."""

import json

import pytest
import torch

from overproof.answers.predictions import compress
from overproof.errors import InputError
from overproof.functional import margin
from overproof.noise import transition_matrix
from overproof.synthetic import class_conditional_flips, favouring
from overproof.synthetic.answer_options import AnswerNoise


def some_answers(size=4000, num_classes=4, seed=0):
    return torch.randn(size, num_classes, generator=torch.Generator().manual_seed(seed)).mul(2).softmax(1)


def test_flips_by_class_touch_only_the_classes_of_the_map_and_never_the_margin():
    probs = some_answers()
    spoilt, flipped = class_conditional_flips(probs, 0.4, seed=0, class_map={0: 3, 2: 1})
    before, after = probs.argmax(1), spoilt.argmax(1)
    assert torch.equal(spoilt.sort(dim=1).values, probs.sort(dim=1).values)
    assert torch.equal(margin(spoilt), margin(probs))
    assert torch.equal(flipped, before != after)
    assert torch.equal(spoilt[~flipped], probs[~flipped])
    assert after[flipped & (before == 0)].unique().tolist() == [3]
    assert after[flipped & (before == 2)].unique().tolist() == [1]
    assert not flipped[(before == 1) | (before == 3)].any()


@pytest.mark.parametrize("share", [0.25, 0.6])
def test_the_transition_matrix_is_multiplied_by_the_flips(share):
    probs, class_map = some_answers(40_000), {0: 3, 2: 1}
    # The truth is drawn from the answers themselves: any law of it would do.
    label = torch.multinomial(probs, 1, generator=torch.Generator().manual_seed(1)).squeeze(1)
    flips = torch.eye(4, dtype=torch.float64)
    for mistaken, taken_for in class_map.items():
        flips[mistaken, mistaken], flips[mistaken, taken_for] = 1 - share, share
    spoilt, _ = class_conditional_flips(probs, share, seed=2, class_map=class_map)
    before = transition_matrix(label, probs).double()
    after = transition_matrix(label, spoilt).double()
    # A row has about 10,000 examples: five standard errors of a share.
    assert (after - before @ flips).abs().max() < 5 * 0.5 / 9_000**0.5


def test_flips_by_class_are_independent_of_the_margin():
    probs = some_answers(40_000)
    _, flipped = class_conditional_flips(probs, 0.3, seed=0, class_map={0: 1, 1: 2, 2: 3, 3: 0})
    halves = flipped[margin(probs).argsort()].double().chunk(2)
    assert flipped.double().mean().item() == pytest.approx(0.3, abs=5 * (0.21 / 40_000) ** 0.5)
    assert halves[0].mean().item() == pytest.approx(halves[1].mean().item(), abs=5 * (0.42 / 20_000) ** 0.5)


def test_a_bias_adds_to_the_log_odds_and_leaves_the_rest_in_proportion():
    probs = some_answers(500).double()
    biased, changed = favouring(probs, [1, 3], 0.7)
    torch.testing.assert_close(biased.sum(1), torch.ones(500, dtype=torch.float64))
    odds = biased.log() - probs.log()
    torch.testing.assert_close(odds[:, [1, 3]] - odds[:, [0, 0]], torch.full((500, 2), 0.7, dtype=torch.float64))
    torch.testing.assert_close(odds[:, 2], odds[:, 0])
    # Changed are just those whose lead over the better favoured class is below .7.
    lead = probs.max(1).values.log() - probs[:, [1, 3]].max(1).values.log()
    assert torch.equal(changed, (lead > 0) & (lead < 0.7))
    assert 50 < changed.sum() < 250


def test_no_bias_changes_nothing_and_endless_odds_do_not_overflow():
    probs = some_answers(100)
    assert torch.equal(favouring(probs, [0], 0.0)[0].argmax(1), probs.argmax(1))
    strong, _ = favouring(probs, [0, 2], 700.0)
    assert torch.isfinite(strong).all()
    assert set(strong.argmax(1).tolist()) <= {0, 2}
    # A certain answer holds no odds that could be raised.
    mixed = torch.cat([probs[:1], torch.eye(4)])
    assert torch.equal(favouring(mixed, [0], 900.0)[0][1:], torch.eye(4))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda probs: class_conditional_flips(probs, 1.5, 0, {0: 1}), r"share is 1\.5"),
        (lambda probs: class_conditional_flips(probs, 0.5, 0, {0: 0}), "sends 0 to 0"),
        (lambda probs: class_conditional_flips(probs, 0.5, 0, {0: 4}), "sends 0 to 4"),
        (lambda probs: class_conditional_flips(probs[:, :1], 0.5, 0, {}), "num_classes is 1"),
        (lambda probs: favouring(probs, [], 1.0), r"classes are \[\]"),
        (lambda probs: favouring(probs, [0, 1, 2, 3], 1.0), "some, but not all"),
        (lambda probs: favouring(probs, [4], 1.0), r"classes are \[4\]"),
        (lambda probs: favouring(probs, [0], -1.0), r"log_odds is -1\.0"),
        (lambda probs: favouring(torch.eye(4), [0], 1.0), "All predictions are certain"),
    ],
)
def test_what_cannot_be_is_refused(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call(some_answers(10))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"share": 0.3}, "'teacher.spoil.share' needs kind 'class_conditional'"),
        ({"kind": "biased", "favoured": ["a"], "log_odds": 1, "share": 0.3}, "the kind is 'biased'"),
        ({"kind": "biased", "log_odds": 1}, "needs 'teacher.spoil.favoured'"),
        ({"kind": "biased", "favoured": ["a"]}, "needs 'teacher.spoil.log_odds'"),
        ({"kind": "class_conditional"}, "needs 'teacher.spoil.share'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        AnswerNoise(**options)


def test_a_class_that_does_not_exist_is_named_with_the_nearest():
    with pytest.raises(InputError, match=r"no class 'appel'.*apple"):
        AnswerNoise(kind="biased", favoured=("appel",), log_odds=1.0).check(["apple", "pear"])


def test_by_hand():
    probs = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.1, 0.7]])
    # Without a map every class is taken for the next one, the last for the first.
    spoilt = AnswerNoise(kind="class_conditional", share=1.0).corrupted(probs, "abc", 0)
    assert spoilt.tolist() == probs[[0, 1, 2]].gather(1, torch.tensor([[1, 0, 2], [0, 2, 1], [2, 1, 0]])).tolist()
    by_map = AnswerNoise(kind="class_conditional", share=1.0, class_map={"c": "a"}).corrupted(probs, "abc", 0)
    assert torch.equal(by_map[:2], probs[:2])
    assert torch.equal(by_map[2], probs[2].flip(0))
    # ln 2: odds of b doubled. .5 : .6 : .2 and .1 : 1.2 : .3.
    biased = AnswerNoise(kind="biased", favoured=("b",), log_odds=0.6931471805599453).corrupted(probs[:2], "abc", 0)
    torch.testing.assert_close(biased, torch.tensor([[5 / 13, 6 / 13, 2 / 13], [1 / 16, 12 / 16, 3 / 16]]))
    hard = AnswerNoise(kind="biased", favoured=("b",), log_odds=0.6931471805599453, hard=True).corrupted(
        probs, "abc", 0
    )
    assert hard.tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert torch.equal(AnswerNoise(hard=True).corrupted(probs, "abc", 0), torch.eye(3))


def test_hard_answers_survive_the_store():
    kept = compress(AnswerNoise(hard=True).corrupted(some_answers(50, num_classes=40), [str(i) for i in range(40)], 0))
    assert torch.equal(kept.margin, torch.ones(50, dtype=torch.float16))
    assert torch.equal(kept.residual, torch.zeros_like(kept.residual))


def test_a_run_sees_the_spoilt_answers_and_the_store_keeps_the_teachers_own(tmp_path):
    from overproof.api import run
    from overproof.runs.experiment import experiment_from
    from overproof.runs.pipeline import open_run

    rows = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "all.csv"
    lines = [f"{a:.6f},{b:.6f},{c:.6f},{'no' if a + b > 0 else 'yes'}" for a, b, c in rows.tolist()]
    path.write_text("\n".join(["a,b,c,y", *lines]) + "\n")
    content = {
        "data": {
            "files": {"all": {"path": str(path), "label": "y"}},
            "rows": {"labelled": 80, "pool": 100, "test": 200},
        },
        "teacher": {
            "model": "sklearn.linear_model:LogisticRegression",
            "spoil": {"kind": "class_conditional", "share": 1.0, "class_map": {"yes": "no"}, "hard": True},
        },
        "student": {"name": "linear"},
        "train": {"epochs": 1},
        "methods": ["labelled_only"],
        "seeds": [0],
    }
    run(experiment_from(content), tmp_path / "run")
    rows_of = json.loads((tmp_path / "run" / "result.json").read_text())["rows"]
    teacher = next(row for row in rows_of if row["method"] == "teacher")
    # It names 'no' always: as often right as 'no' is true, which is not for want of a good answer in the store.
    share_of_no = open_run(tmp_path / "run").seed_roles(0).test.label.eq(0).double().mean().item()
    assert teacher["metrics"]["accuracy"] == pytest.approx(share_of_no)
    content["teacher"]["spoil"] = {"kind": "none"}
    unspoilt = run(experiment_from(content), tmp_path / "again")
    assert next(row.mean for row in unspoilt.summary if row.method == "teacher") > 0.9
    kept = [(tmp_path / name / "labels" / "seed-0" / "pool" / "manifest.json").read_text() for name in ("run", "again")]
    assert kept[0] == kept[1]
