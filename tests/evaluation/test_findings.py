"""Findings: one file each, one signature, listed in order."""

import importlib.util
import inspect
import pkgutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from overproof.evaluation import findings
from overproof.evaluation.findings import (
    FINDINGS,
    RunFacts,
    VoteFacts,
    findings_of,
    lost_classes,
    passed_teacher,
    peer_rounds,
    stack,
    teacher_accuracy,
    votes,
)
from overproof.evaluation.verdict import Row
from overproof.functional.repeats import Repeats

WORLDS = Path(__file__).parents[2] / "benchmarks" / "contradictions.py"


def modules():
    return {
        each.name: getattr(findings, each.name)
        for each in pkgutil.iter_modules(findings.__path__)
        if each.name != "run_facts"
    }


def test_every_file_holds_one_finding_of_the_one_signature_and_is_listed_once():
    assert {module.find for module in modules().values()} == set(FINDINGS)
    assert len(set(FINDINGS)) == len(FINDINGS)
    for module in modules().values():
        public = [
            name
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
        ]
        assert public == ["find"]
        assert list(inspect.signature(module.find).parameters) == ["facts"]


def test_the_sentences_are_in_the_order_of_the_list():
    training = {"num_labelled": 10, "noise": {}, "classes_vanish": "1 of 3 classes vanishes"}
    facts = RunFacts(
        trainings={("slam", 0): training, ("slam", 1): training},
        repeated={"pool": 3},
        votes=(VoteFacts(file="votes.csv", per_example=3.0, agreement=0.5, vote="soft"),),
        input_remarks=("2 texts are empty.",),
    )
    starts = ["3 pool examples", "In the selection of slam (seed 0)", "votes.csv holds 3.0 votes", "2 texts"]
    sentences = findings_of(facts)
    assert len(sentences) == len(starts)
    assert all(sentence.startswith(start) for sentence, start in zip(sentences, starts, strict=True))


def test_sets_of_classes_are_no_votes():
    training = {("slam", 0): {"num_labelled": 10, "noise": {}}}
    facts = RunFacts(
        trainings=training, votes=(VoteFacts(file="sets.csv", per_example=1.5, agreement=0.5, vote="set"),)
    )
    assert findings_of(facts) == [
        "sets.csv holds a set of classes that may hold for each example, 1.5 on average and one alone for "
        "50.0% of them; each class of a set is equally likely."
    ]


def test_nothing_is_reported_where_nothing_is_known():
    facts = RunFacts(trainings={("slam", 0): {"num_labelled": 10, "noise": {}}})
    assert findings_of(facts) == []


def test_a_teacher_at_the_level_of_the_most_frequent_class_is_called_that():
    def facts(low):
        accuracy = {"mean": 0.66, "low": low, "high": 0.72}
        training = {"num_labelled": 200, "noise": {}, "teacher_accuracy": accuracy, "commonest_label": 0.62}
        return RunFacts(trainings={("slam", 0): training})

    (level,), (better,) = (teacher_accuracy.find(facts(low)) for low in (0.6, 0.63))
    assert "is no better than naming the most frequent class of the labels (62.0%) for every example" in level
    assert "most frequent" not in better


def contradiction(known, correct, by_fold=False, num=100, seeds=1, repeats=None):
    """What is said beside the teacher's accuracy, of `num` labelled examples and a test."""
    accuracy = {"mean": known, "low": known - 0.05, "high": known + 0.05, "num": num}
    training = {"num_labelled": 100, "noise": {}, "teacher_accuracy": accuracy}
    correct = torch.tensor(correct, dtype=torch.bool if set(correct) <= {True, False} else torch.float64)
    row = {"method": "teacher", "role": "reference", "metrics": {"accuracy": correct.double().mean().item()}}
    rows = [Row(**row, seed=seed, correct=correct, repeats=repeats) for seed in range(seeds)]
    trainings = {("hard", seed): training for seed in range(seeds)}
    return teacher_accuracy.find(RunFacts(trainings=trainings, rows=rows, labelled_by_fold=by_fold))[1:]


def test_a_test_that_contradicts_the_labels_is_named_with_both_numbers():
    (found,) = contradiction(0.9, [True] * 700 + [False] * 300)
    # By scipy.stats.binomtest(700, 1000), and at 99 % with that of 90 of 100.
    assert found.startswith(
        "The test contradicts that: the teacher is right on 70.0% of it (95 % interval: 67.1% to 72.8%)"
    )
    assert "20.0 points below the labelled examples (99% interval of the difference: -27.3 to -9.2)" in found
    assert "another distribution or mix of classes, its labels are another labeller's, the teacher had seen" in found
    # Several seeds share their test and vary as one.
    assert contradiction(0.9, [True] * 700 + [False] * 300, seeds=3) == [found]
    # A fold's teacher has not seen the examples that it answers, and each counts for less.
    (by_fold,) = contradiction(0.9, [True] * 700 + [False] * 300, by_fold=True)
    assert "had seen" not in by_fold
    assert "difference: -28.1 to -6.3" in by_fold
    assert contradiction(0.9, [True] * 820 + [False] * 180) == []
    assert contradiction(0.9, [True] * 700 + [False] * 300, num=None) == []
    # Ten times as many rows of the same groups are no more examples.
    same = Repeats.of(torch.arange(1000), torch.arange(1000) // 50)
    assert contradiction(0.9, [True] * 700 + [False] * 300, repeats=same) == []


def test_a_mean_of_teachers_may_be_better_and_what_is_not_answered_is_not_compared():
    better = [True] * 900 + [False] * 100
    (found,) = contradiction(0.7, better)
    assert "20.0 points above the labelled examples" in found
    assert "had seen" not in found
    assert contradiction(0.7, better, by_fold=True) == []
    # A third for each of the answers that are missing would be a contradiction.
    assert contradiction(0.9, [1.0] * 90 + [0.0] * 10 + [1 / 3] * 900) == []


@pytest.mark.parametrize(("kind", "power"), [("a file", 0.4), ("trained here", 0.35)])
def test_worlds_without_a_contradiction_are_told_of_one_at_most_as_often_as_the_level_says(kind, power):
    """300 labelled examples and 1,000 of a test; at 1 % more than 12 of 500 worlds are one draw in a hundred."""
    spec = importlib.util.spec_from_file_location("contradictions", WORLDS)
    worlds = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worlds)
    none, some, more = worlds.shares(kind, 300, 1000, num_worlds=500, seed=1)
    assert none * 500 <= 12
    assert more > some > power


def test_only_a_row_of_the_teacher_with_another_number_is_explained():
    def sentence(accuracy, num_folds):
        training = {"num_labelled": 80, "noise": {}, "teacher_accuracy": {"mean": 0.75, "low": 0.7, "high": 0.8}}
        row = Row(method="teacher", role="reference", seed=0, metrics={"accuracy": accuracy}, num_folds=num_folds)
        return teacher_accuracy.find(RunFacts(trainings={("slam", 0): training}, rows=(row,)))[0]

    assert "its row" not in sentence(0.75, 5), "a file answers every fold alike"
    assert "cross-validated, with another division" in sentence(0.73, 5)
    assert "its row in the table is on the test" in sentence(0.75, 0)


def test_each_scorer_of_a_stack_is_named_with_its_weight():
    def seed(first, second):
        weights = [{"weight": each, "low": each - 0.1, "high": each + 0.1} for each in (first, second)]
        return {"weights": weights, "log_loss_alone": [0.5, 0.7], "log_loss": 0.4}

    facts = RunFacts(trainings={}, scorers=("minilm", "ngram"), stacks=(seed(0.6, 0.2), seed(0.8, 0.4)))
    assert stack.find(facts) == [
        "The teacher is a stack of 2 scorers, weighed on labelled examples out of sample: minilm 0.70 (one seed's 95 % "
        "interval 0.50 to 0.70; log-loss alone 0.500), ngram 0.30 (one seed's 95 % interval 0.10 to 0.30; log-loss "
        "alone 0.700); together 0.400."
    ]
    assert votes.find(facts) == lost_classes.find(facts) == []
    idle = replace(facts, stacks=({**seed(0.6, 0.0), "left_out": [1]}, {**seed(0.8, 0.0), "left_out": [1]}))
    assert stack.find(idle)[1:] == [
        "ngram adds nothing to the other teachers (2 of 2 seeds): leave it out of 'teacher', and it need not be asked "
        "any more."
    ]


def test_the_answers_that_an_adapter_corrects_are_needed():
    weights = [{"weight": 0.5, "low": 0.4, "high": 0.6}] * 2
    seed = {"weights": weights, "log_loss_alone": [0.5, 0.7], "log_loss": 0.4}

    def idle(*left_out):
        facts = RunFacts(trainings={}, scorers=("zero_shot", "adapter"), stacks=({**seed, "left_out": left_out},))
        return [each.partition(" adds")[0] for each in stack.find(facts)[1:]]

    assert (idle(0), idle(1), idle()) == ([], ["adapter"], [])


def rounds_of(after, drifted, taken=True):
    """One round that takes the teacher's log-loss from 1 to `after`, of peers that have .8 alone."""
    record = {
        "number": 1, "before": 1.0, "peer": 0.8, "both": after, "standard_error": 0.05, "taken": taken,
        "distance_before": 0.1, "distance_after": 0.1 + drifted,
    }  # fmt: skip
    return {"records": [record], "taken": int(taken)}


def test_a_row_with_rounds_says_what_they_gained_and_how_far_classes_moved():
    facts = RunFacts(trainings={("peers", 0): {"rounds": rounds_of(0.7, 0.09)}, ("hard", 0): {}})
    losses = (
        "peers: on labelled examples out of sample the log-loss is 1.000 for the teacher; 0.800 for peers of round 1, "
        "0.700 with them in the stack (gain's standard error 0.050; taken by 1 of 1 seeds). "
    )
    assert peer_rounds.find(facts) == [
        f"{losses}The student adds information that the teacher lacks, and corrects its answers.",
        "peers: the rounds moved the pool's class shares 9.0% further from those of the labelled examples; check the "
        "classes before you use the row.",
    ]
    (average,) = peer_rounds.find(replace(facts, trainings={("peers", 0): {"rounds": rounds_of(0.96, 0.04)}}))
    assert "no more than an average over several students" in average
    (left,) = peer_rounds.find(replace(facts, trainings={("peers", 0): {"rounds": rounds_of(0.99, 0.3, taken=False)}}))
    assert "taken by 0 of 1 seeds" in left
    assert left.endswith("No round was taken: the student adds no information that the teacher lacks, and the row "
                         "equals the one without rounds.")  # fmt: skip


def test_a_student_that_exaggerates_its_teachers_confidence_is_told_from_one_that_evens_it_out():
    def said(*slopes):
        trainings = {("soft", seed): {"deviation_slope": slope} for seed, slope in enumerate(slopes)}
        return passed_teacher.find(RunFacts(trainings=trainings))

    assert "exaggerates its teacher's confidence" in said(1.25, 1.35)[0]
    assert "rise by 1.30" in said(1.25, 1.35)[0]
    assert "evens out its teacher's confidence" in said(0.6)[0]
    assert passed_teacher.find(RunFacts(trainings={("soft", 0): {}})) == []
