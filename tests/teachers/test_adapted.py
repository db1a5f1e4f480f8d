"""A teacher that corrects the first of a list: `adapt`, out of sample, and left out where it adds nothing."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import torch

from overproof.answers.predictions import compress
from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.noise import adapt
from overproof.progress import Silent
from overproof.runs.experiment import experiment_from
from overproof.runs.pipeline import Run
from overproof.synthetic import blobs
from overproof.teachers import AnswersByContent, cross_fitted
from overproof.teachers.kind import TeacherName
from overproof.teachers.trained.adapted import AdaptedAnswers, AdapterByName

NAMES = ("red", "green", "blue")


def examples(x, label=None):
    return from_arrays(np.asarray(x, dtype=np.float32), label, class_names=NAMES)


def columns(some):
    return torch.tensor(np.stack([each.to_numpy() for each in some.inputs.columns], axis=1))


def test_answers_are_found_by_content_and_copies_count_as_their_mean():
    parts = (
        examples([[1.0], [2.0], [1.0]]),
        compress(torch.tensor([[0.5, 0.25, 0.25], [0, 0.5, 0.5], [0.25, 0.5, 0.25]])),
    )
    found = AnswersByContent.of([parts])
    probs, answered = found.find(examples([[2.0], [1.0]]))
    assert probs.tolist() == [[0, 0.5, 0.5], [0.375, 0.375, 0.25]]
    assert answered.all()
    turned = AnswersByContent.of([(parts[0].take(np.array([2, 1, 0])), parts[1].take(torch.tensor([2, 1, 0])))])
    assert turned.fingerprint == found.fingerprint
    other = AnswersByContent.of([(parts[0], compress(torch.tensor([[0.5, 0.25, 0.25]] * 3)))])
    assert other.fingerprint != found.fingerprint


def test_a_label_alone_is_nine_tenths_and_no_answer_is_an_even_guess():
    labels = compress(torch.eye(3)).without(torch.tensor([False, False, True]))
    probs, answered = AnswersByContent.of([(examples([[0.0], [1.0], [2.0]]), labels)]).find(
        examples([[0.0], [1.0], [2.0]])
    )
    even = 0.1 / 3
    wanted = [[0.9 + even, even, even], [even, 0.9 + even, even], [1 / 3] * 3]
    torch.testing.assert_close(probs, torch.tensor(wanted, dtype=torch.float64), atol=1e-7, rtol=0)
    assert answered.tolist() == [True, True, False]


def adapter(x, probs):
    first = AnswersByContent.of([(examples(x), compress(probs))])
    return AdaptedAnswers(first=first, features=columns, encoder="columns"), first


def world(num=60, seed=0):
    draw = torch.Generator().manual_seed(seed)
    label = torch.arange(num) % 3
    x = torch.randn(num, 2, generator=draw) + torch.eye(3)[label][:, :2]
    return x, (torch.randn(num, 3, generator=draw) + torch.eye(3)[label]).softmax(dim=1), label


def test_it_is_adapt_on_the_rows_that_the_first_teacher_answers(tmp_path):
    x, probs, label = world()
    teacher, first = adapter(x, probs)
    known, pool = examples(x[:40], label[:40]), examples(x[40:])
    answered = teacher.fit(known, num_classes=3, seed=3, folder=tmp_path)(pool)
    fitted = adapt(first.find(known)[0], x[:40], label[:40], seed=3)
    torch.testing.assert_close(answered, fitted(first.find(pool)[0], x[40:]), atol=1e-6, rtol=0)

    silent = torch.arange(60) % 4 == 0
    some = AnswersByContent.of([(examples(x), compress(probs).without(silent))])
    teacher = AdaptedAnswers(first=some, features=columns, encoder="columns")
    kept = (~silent[:40]).nonzero()[:, 0]
    fitted = adapt(first.find(known)[0][kept], x[:40][kept], label[:40][kept], seed=3)
    answered = teacher.fit(known, num_classes=3, seed=3, folder=tmp_path)(pool.take(np.array([1, 2])))
    torch.testing.assert_close(answered, fitted(first.find(pool)[0][1:3], x[41:43]), atol=1e-6, rtol=0)


def test_with_one_answered_label_the_first_teachers_answers_stay(tmp_path):
    x, probs, label = world(6)
    some = AnswersByContent.of([(examples(x), compress(probs).without(torch.arange(6) < 5))])
    teacher = AdaptedAnswers(first=some, features=columns, encoder="columns")
    answered = teacher.fit(examples(x, label), num_classes=3, seed=0, folder=tmp_path)(examples(x))
    assert torch.equal(answered, some.probs[torch.from_numpy(some.index.find(examples(x).ids)[0])])


def test_a_class_whose_labels_are_all_in_one_fold_keeps_the_first_teachers_probability(tmp_path):
    x, probs, _ = world(40)
    label = torch.arange(40) % 2
    label[7] = 2
    teacher, _ = adapter(x, probs)
    found = cross_fitted(
        teacher,
        examples(x[:30], label[:30]),
        {"pool": examples(x[30:])},
        num_folds=3,
        seed=0,
        folder=tmp_path,
        apart=("pool",),
    )
    assert all((each.probs() > 0).all() for each in found.values())


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"encoder": "bert"}, None, "'teacher.options.encoder' is 'bert'; it must be 'auto', 'columns', 'minilm'"),
        ({"encoder": "minilm"}, "table", "'minilm', which does not read data of kind 'table'; leave it out, and the"),
        ({"encoder": "columns"}, "text", "'columns', which does not read data of kind 'text'"),
        ({"encodr": "minilm"}, "text", "'teacher.options.encodr' does not exist for an adapter"),
    ],
)
def test_an_encoder_that_does_not_read_the_data_is_refused(options, kind, words):
    with pytest.raises(InputError, match=words):
        AdapterByName().check(TeacherName(model="adapter", options=options), "teacher", kind)


def content(folder, teacher, noise=False):
    """Files of a teacher that names the next class where the first column is positive, and of another."""
    made = blobs(num_examples=500, num_classes=3, seed=0)
    answers = torch.where(made.inputs[:, 0] > 0, (made.label + 1) % 3, made.label)
    inputs = torch.randn(500, 2, generator=torch.Generator().manual_seed(1)) if noise else made.inputs
    guess = torch.where(torch.rand(500, generator=torch.Generator().manual_seed(0)) < 0.9, made.label, made.label - 1)
    ids = [f"r{number}" for number in range(500)]
    named = np.array(NAMES)
    table = {"id": ids, **{f"x{index}": each for index, each in enumerate(inputs.numpy().T)}}
    pa.csv.write_csv(pa.table({**table, "colour": named[made.label.numpy()]}), folder / "data.csv")
    for name, each in (("answers", answers), ("guess", guess % 3)):
        pa.csv.write_csv(pa.table({"id": ids, "label": named[each.numpy()]}), folder / f"{name}.csv")
    return {
        "data": {
            "files": {"all": {"path": str(folder / "data.csv"), "label": "colour", "id": "id"}},
            "rows": {"labelled": 80, "pool": 200, "test": 200},
        },
        "teacher": teacher,
        "student": "linear",
        "train": {"epochs": 1},
        "methods": ["hard", "auto"],
        "seeds": [0],
    }


def labelled(folder, made):
    run = Run(experiment=experiment_from(made), folder=folder, progress=Silent())
    run.label()
    return run, json.loads((folder / "labels/seed-0/weights.json").read_text())


def test_in_a_run_it_corrects_the_answers_and_keeps_its_own_for_each_half(tmp_path):
    made = content(tmp_path, [{"answers": [str(tmp_path / "answers.csv")]}, {"model": "adapter", "folds": 2}])
    run, weights = labelled(tmp_path / "run", made)
    assert weights["log_loss"] < weights["log_loss_alone"][0] - 0.2
    assert weights["weights"][1]["weight"] > 0.5
    answers = run.teacher.for_seed(0)
    test = run.teacher.roles.for_seed(0).test
    right = (answers["test"].pseudo_label == test.label).double().mean().item()
    alone = run.teacher.scorers.of(run.experiment.teacher, run.teacher.roles.for_seed(0), 0, tmp_path / "none")
    assert right > (alone["test"].pseudo_label == test.label).double().mean().item() + 0.15
    halves = [answers[f"pool-without-half-{number}"].probs() for number in range(2)]
    assert not torch.equal(*halves)
    again = labelled(tmp_path / "run", made)[0].teacher.for_seed(0)
    assert all(torch.equal(again[role].probs(), each.probs()) for role, each in answers.items())


def test_where_the_features_say_nothing_one_of_the_two_is_left_out(tmp_path):
    made = content(tmp_path, [{"answers": [str(tmp_path / "guess.csv")]}, {"model": "adapter", "folds": 2}], noise=True)
    weights = labelled(tmp_path / "run", {**made, "methods": ["hard"]})[1]
    assert len(weights["left_out"]) == 1


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        ("adapter", "begins with an adapter"),
        (["sklearn.naive_bayes:GaussianNB", "adapter"], "first teacher, 'sklearn.naive_bayes:GaussianNB', is trained"),
    ],
)
def test_without_answers_that_were_made_without_the_labels_it_is_refused(tmp_path, teacher, words):
    with pytest.raises(InputError, match=words) as refused:
        experiment_from(content(tmp_path, teacher))
    assert len(str(refused.value)) < 400
