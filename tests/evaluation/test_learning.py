"""A student that has not learned is told of without a test, whatever its method; one that learned errors is not."""

import re
from dataclasses import asdict

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import overproof
from overproof.evaluation.learning import cut_short, has_steps, not_learned
from overproof.sklearn import DistilledClassifier
from overproof.synthetic import blobs
from overproof.training.checkpoint import EpochRecord

LABEL = torch.tensor([0, 0, 1, 2, 0, 1])
NAMES = np.array(["cat", "dog", "eel"], object)
TOLD = "The student has not learned: of 60 labelled examples that it was trained on, it is right on"


def epochs(*losses, agreement=0.5, weight_max=1.0):
    return [
        EpochRecord(epoch=number, loss=loss, weight_min=1.0, weight_mean=1.0, weight_max=weight_max,
                    held_out_loss=None, labelled_right=0.3, pool_agreement=agreement)
        for number, loss in enumerate(losses, 1)
    ]  # fmt: skip


def named(classes, sure=0.6):
    return torch.where(torch.nn.functional.one_hot(torch.tensor(classes), 3).bool(), sure, (1 - sure) / 2)


def test_a_student_has_not_learned_where_it_says_the_same_of_all_or_less():
    def told(probs, label=LABEL, agreement=None, answered=None, num_epochs=2):
        return not_learned(probs, label, num_epochs=num_epochs, agreement=agreement, answered=answered)

    uniform, wrong, right = torch.full((6, 3), 1 / 3), named([1, 1, 0, 0, 2, 2]), named(LABEL.tolist())
    assert told(uniform) == (
        "The student has not learned: of 6 labelled examples that it was trained on, it is right on 50.0%, and naming "
        "one class for all is right on 50.0%. It was trained for 2 epochs: give 30 or more ('epochs' of train), or a "
        "higher learning rate; numbers of very different sizes need a scale of their own."
    )
    assert told(wrong)
    assert not told(right)
    # Right on two thirds, but less sure of the labels than by guessing: first weights can be that, later ones not.
    lucky = torch.cat([named([0, 0, 1, 2], sure=0.34), named([1, 2], sure=0.98)])
    assert told(lucky)
    assert not told(lucky, num_epochs=1)
    # One that repeats a teacher which is wrong there has learned, unless the teacher says the same of all.
    answered = torch.tensor([0, 1, 2, 0, 1, 2])
    assert not told(wrong, agreement=0.9, answered=answered)
    assert told(wrong, agreement=0.5, answered=answered)
    assert told(wrong, agreement=0.9, answered=torch.zeros(6, dtype=torch.long))
    # With a rare class, naming the other for all is the best that one can say, and a low loss shows that it is known.
    rare = torch.tensor([0] * 19 + [1])
    assert not told(torch.tensor([[0.999, 0.001]] * 19 + [[0.6, 0.4]]), rare)


def test_a_loss_that_still_falls_steeply_is_told():
    assert cut_short(epochs(1.0, 0.9), 3) == (
        "The training was too short: the last of 2 epochs lowered its loss from 1.000 to 0.900 (guessing has 1.099); "
        "give train={'epochs': 15} or more."
    )
    assert not cut_short(epochs(1.0, 0.96), 3)  # less than a twentieth of log 3
    assert not cut_short(epochs(0.6, 0.5), 3)  # low already
    assert not cut_short(epochs(1.0, 0.9, weight_max=2.0), 3)  # weights change between epochs
    assert not cut_short(epochs(1.0), 3)
    # An estimator is fitted in one step, and its history has no answers of a training.
    bare = dict(weight_min=1.0, weight_mean=1.0, weight_max=1.0, held_out_loss=None)
    fitted = [EpochRecord(epoch=number, loss=1 - number / 10, **bare) for number in (1, 2)]
    assert not cut_short(fitted, 3)
    assert not has_steps([asdict(each) for each in fitted])


@pytest.fixture(scope="module")
def few():
    """Blobs, of which some have a label, by name."""
    world = blobs(num_examples=240, num_classes=3, seed=0)
    return world.inputs.numpy(), np.where(np.arange(240) < 60, NAMES[world.label], None)


def test_distill_and_the_classifier_say_so(few):
    inputs, y = few
    hardly, enough = {"epochs": 1, "learning_rate": 1e-5}, {"epochs": 5, "learning_rate": 0.1}
    for method in ("hard", "slam_auto", "forward", "wd"):
        made = DistilledClassifier("linear", LogisticRegression(), method=method, train=hardly)
        with pytest.warns(UserWarning, match=re.escape(TOLD)):
            made.fit(inputs, y)
        assert [each for each in made.findings_ if each.startswith(TOLD)] == [made.findings_[-1]]
        assert made.findings_ == made.distilled_.findings
    fine = DistilledClassifier("linear", LogisticRegression(), method="hard", train=enough).fit(inputs, y)
    assert not any("not learned" in each or "too short" in each for each in fine.findings_)
    alone = DistilledClassifier("linear", train=hardly)
    with pytest.warns(UserWarning, match=re.escape(TOLD)), pytest.warns(UserWarning, match="no unlabelled row"):
        alone.fit(inputs[:60], y[:60])
    assert [each.startswith(TOLD) for each in alone.findings_] == [True]
    with pytest.warns(UserWarning, match=re.escape(TOLD)):
        noisy = overproof.self_distill("linear", inputs[:60], list(y[:60]), method="born_again", train=hardly)
    assert noisy.findings[-1].startswith(TOLD)
