"""A scikit-learn estimator as student: weighted as the loop would weigh it, saved without pickle, or refused."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import skops.io
import torch
import yaml
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.validation import has_fit_parameter

import overproof
from overproof.answers.predictions import compress
from overproof.commands.main import main
from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.functional import soft_cross_entropy
from overproof.methods.published import method
from overproof.models import ModelSpec, build, load_student
from overproof.models.classifiers import KNOWN, check_classifier_options
from overproof.models.estimator import EstimatorBody, archived, body_of, opened
from overproof.models.importing import imported
from overproof.models.trees import _trees, check_trees
from overproof.synthetic import blobs, random_flips
from overproof.training.distillation import distilled
from overproof.training.examples import AnsweredExamples, TrainingData
from overproof.training.options import TrainOptions

LOGISTIC = ModelSpec(name="sklearn.linear_model:LogisticRegression", options={"C": 0.5, "max_iter": 1000})
NAMES = ("a", "b", "c")


def world(num: int = 600):
    return blobs(num_examples=num, num_classes=3, seed=0)


def taught(name: str, *, few: int = 60, student: ModelSpec = LOGISTIC, epochs: int = 15, probs=None, **train):
    """A student of the world's teacher, and all that went in."""
    data = world()
    probs = data.teacher_probs if probs is None else probs
    examples = from_arrays(data.inputs, class_names=NAMES)
    built = build(student, [examples], class_names=NAMES, seed=0)
    inputs = built.encode(examples)
    labelled = AnsweredExamples(place=torch.arange(few), label=data.label[:few], answers=compress(probs[:few]))
    unknown = torch.full((600 - few,), -1)
    pool = AnsweredExamples(place=torch.arange(few, 600), label=unknown, answers=compress(probs[few:]))
    options = TrainOptions(epochs=epochs, batch_size=80, **train)
    result = distilled(
        built,
        TrainingData(inputs=inputs, labelled=labelled, pool=pool),
        method=method(name),
        options=options,
        seed=0,
    )
    return result, data, inputs.values.numpy()


def test_hard_labels_are_one_weighted_fit():
    result, data, x = taught("hard")
    label = np.concatenate([data.label[:60], data.teacher_probs[60:].argmax(dim=1)])
    # A batch of 80 holds an eighth of labelled examples: 10 of 60 and 70 of 540, on average one in 7.5 either way.
    weight = np.concatenate([np.full(60, 7.5 * 10 / 60), np.full(540, 7.5 * 70 / 540)])
    assert weight.sum() == 600
    by_hand = LogisticRegression(C=0.5, max_iter=1000).fit(x, label, sample_weight=weight)
    found = result.student.probs(data.inputs).double().numpy()
    np.testing.assert_allclose(found, by_hand.predict_proba(x), atol=1e-5)
    assert len(result.history) == 1


def test_soft_labels_stand_once_for_every_class():
    probs = torch.tensor([[0.5, 0.25, 0.25], [0.0, 0.75, 0.25], [0.125, 0.0, 0.875]]).repeat(200, 1)
    result, data, x = taught("soft", probs=probs)
    rows, label, weight = list(range(60)), data.label[:60].tolist(), [7.5 * 10 / 60] * 60
    for row in range(60, 600):
        for index, share in enumerate(probs[row].tolist()):
            if share:
                rows.append(row)
                label.append(index)
                weight.append(share * 7.5 * 70 / 540)
    by_hand = LogisticRegression(C=0.5, max_iter=1000).fit(x[rows], label, sample_weight=weight)
    np.testing.assert_allclose(result.student.probs(data.inputs).double().numpy(), by_hand.predict_proba(x), atol=1e-4)


def objective(result, data, labelled_share: float = 1 / 8) -> float:
    """What the loop minimises for `fidelity`, on average over its batches."""
    logits, answers = result.student.logits(data.inputs), compress(data.teacher_probs)
    target = torch.nn.functional.one_hot(torch.cat([data.label[:60], answers.pseudo_label[60:]]), 3).float()
    weight = result.noise.accuracy_of(answers)
    loss = soft_cross_entropy(logits, target)
    return (labelled_share * loss[:60].mean() + (1 - labelled_share) * (weight * loss)[60:].mean()).item()


def test_a_fit_minimises_what_the_loop_minimises():
    """The same objective, hardly regularised, by steps and in one fit."""
    big = ModelSpec(name=LOGISTIC.name, options={"C": 1e4, "max_iter": 5000})
    fitted, data, _ = taught("fidelity", student=big)
    stepped, _, _ = taught("fidelity", student=ModelSpec(name="linear"), epochs=40, learning_rate=0.3)
    hard, _, _ = taught("hard", student=big)
    hard = replace(hard, noise=fitted.noise)
    best = objective(fitted, data)
    assert best < objective(stepped, data) < best + 0.02
    assert best < objective(hard, data)


def test_weights_that_follow_from_the_student_are_refitted_until_they_stand_still():
    probs = random_flips(world().teacher_probs, 0.3, 0)[0]
    result, _, _ = taught("wd", few=200, probs=probs)
    assert 2 < len(result.history) <= 15
    assert result.history[0].weight_min == 1.0
    assert result.history[-1].weight_mean < 0.9
    assert result.num_held_out > 0
    assert all(record.held_out_loss is not None for record in result.history)
    assert len(taught("wd", few=200, epochs=2, probs=probs)[0].history) == 2
    assert len(taught("hard", probs=probs)[0].history) == 1


def test_the_same_seed_gives_the_same_bytes_and_it_is_saved_without_pickle(tmp_path: Path):
    forest = ModelSpec(name="sklearn.ensemble:RandomForestClassifier", options={"n_estimators": 3, "max_depth": 3})
    for name in ("one", "two"):
        result, data, _ = taught("fidelity", student=forest)
        result.student.save(tmp_path / name)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert set(one) == {"student.json", "student.safetensors", "estimator.skops", "manifest.json"}
    assert one == two
    loaded = load_student(tmp_path / "one")
    assert torch.equal(loaded.probs(data.inputs), result.student.probs(data.inputs))
    assert loaded.num_parameters == result.student.num_parameters > 0
    forest_again = skops.io.load(tmp_path / "one/estimator.skops", trusted=["sklearn.tree._tree.Tree"])
    assert forest_again.n_estimators == 3
    assert (loaded.fresh(seed=1).probs(data.inputs[:2]) == 1 / 3).all()


class Stranger(LogisticRegression):
    """Of another package than the student says."""


def test_an_archive_of_another_package_is_not_opened(tmp_path: Path):
    result, _, _ = taught("hard")
    body = body_of(result.student.module)
    strange = skops.io.dumps(Stranger().fit([[0.0], [1.0]], [0, 1]))
    with pytest.raises(InputError, match=r"types that are not trusted: '.*Stranger'"):
        opened(strange, body.path)


def test_texts_and_images_are_read_as_scikit_learn_wants_them(tmp_path: Path):
    texts = ["good film", "bad film", "a good one", "a bad one", "so good", "so bad"] * 5
    label = [1, 0] * 15
    result = overproof.distill(
        LOGISTIC, texts[10:], np.eye(2, dtype=np.float32)[label[10:]], texts[:10], label[:10],
        np.eye(2, dtype=np.float32)[label[:10]], method="hard",
    )  # fmt: skip
    assert result.student.probs(["good", "bad", ""]).argmax(dim=1).tolist()[:2] == [1, 0]
    result.student.save(tmp_path / "s")
    assert torch.equal(load_student(tmp_path / "s").probs(texts), result.student.probs(texts))
    images = torch.randint(0, 100, (40, 1, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    dark = torch.arange(40) % 2
    images += (100 * dark[:, None, None, None]).byte()
    answers = torch.nn.functional.one_hot(dark, 2).float()
    result = overproof.distill(LOGISTIC, images[10:], answers[10:], images[:10], dark[:10], answers[:10], method="soft")
    assert (result.student.probs(images).argmax(dim=1) == dark).float().mean() > 0.95


REFUSED = {
    "slam": ({}, "the gradient of its loss .pool: StudentLabelMixing."),
    "dfnd": ({}, "the gradient of its loss .pool: AdaptationMatrix."),
    "labelled_gce": ({}, "labelled: GeneralizedCrossEntropy"),
    "self_distilled": ({}, "its target may have negative entries"),
    "hard": ({"augmentation": "crop"}, "'train.augmentation' is not 'none'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_a_gradient_is_refused_before_anything_is_trained(name: str, monkeypatch):
    train, words = REFUSED[name]
    data = world(100)
    monkeypatch.setattr(EstimatorBody, "fit", lambda *words: pytest.fail("it was fitted"))
    with pytest.raises(InputError, match=words) as refusal:
        overproof.distill(
            LOGISTIC, data.inputs[40:], data.teacher_probs[40:], data.inputs[:40], data.label[:40],
            data.teacher_probs[:40], method=name, train=TrainOptions(**train),
        )  # fmt: skip
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("path", "options", "words"),
    [
        ("sklearn.neighbors:KNeighborsClassifier", {}, "does not take sample_weight in fit"),
        ("sklearn.svm:LinearSVC", {}, "has no predict_proba"),
        ("sklearn.linear_model:LogisticRegression", {"D": 1}, "does not take student.options"),
        ("sklearn.linear_model:LogisticRegresion", {}, "nearest: 'LogisticRegression'"),
    ],
)
def test_an_estimator_that_cannot_be_a_student_is_refused(path: str, options: dict, words: str):
    examples = from_arrays(world(10).inputs)
    with pytest.raises(InputError, match=words):
        build(
            ModelSpec(name=path, options=options),
            [examples],
            class_names=NAMES,
            seed=0,
            allow_import="sklearn.svm:LinearSVC",
        )


def test_a_run_by_the_command_line_and_its_predictions(tmp_path: Path, capsys):
    data = world(400)
    columns = {f"x{index}": pyarrow.array(column) for index, column in enumerate(data.inputs.T.numpy())}
    columns["colour"] = pyarrow.array(np.array(NAMES)[data.label.numpy()])
    pyarrow.csv.write_csv(pyarrow.table(columns), tmp_path / "blobs.csv")
    content = {
        "data": {
            "files": {"all": {"path": str(tmp_path / "blobs.csv"), "label": "colour"}},
            "rows": {"labelled": 60, "pool": 200, "test": 100},
        },
        "teacher": {"model": "student", "folds": 2},
        "student": {"name": LOGISTIC.name, "options": dict(LOGISTIC.options)},
        "methods": ["wd", {"method": "fidelity", "rounds": 1}],
        "seeds": [0],
    }
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    main(["run", str(tmp_path / "e.yaml"), "--out", str(tmp_path / "run"), "--json"])
    rows = {row["method"]: row["metrics"]["accuracy"] for row in json.loads(capsys.readouterr().out)["rows"]}
    assert set(rows) == {"teacher", "labelled_only", "hard", "soft", "wd", "fidelity", "oracle"}
    assert min(rows.values()) > 0.6
    student = str(tmp_path / "run/students/seed-0/wd")
    main(["predict", student, str(tmp_path / "blobs.csv"), "--out", str(tmp_path / "a.parquet")])
    said = pq.read_table(tmp_path / "a.parquet")["label"].to_pylist()
    truth = columns["colour"].to_pylist()
    assert np.mean([a == b for a, b in zip(said, truth, strict=True)]) > 0.6
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(tmp_path / "e.yaml"), "--out", str(tmp_path / "no"), "--set", "methods=[slam]"])
    assert stopped.value.code == 2
    assert "is fitted by sample weights alone" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


FORESTS = [
    RandomForestClassifier(3, max_depth=3, random_state=0),
    HistGradientBoostingClassifier(max_iter=3),
    GradientBoostingClassifier(n_estimators=2),
    BaggingClassifier(n_estimators=2, max_features=2),
    DecisionTreeClassifier(max_depth=1),
    DummyClassifier(),
]


@pytest.mark.parametrize("forest", FORESTS, ids=lambda each: type(each).__name__)
def test_whole_trees_are_opened_and_those_that_lead_nowhere_are_refused(forest):
    data = world(200)
    fitted = clone(forest).fit(data.inputs.numpy(), data.label.numpy())
    path = "sklearn.ensemble:RandomForestClassifier"
    again = opened(archived(fitted), path)
    assert np.array_equal(again.predict_proba(data.inputs.numpy()), fitted.predict_proba(data.inputs.numpy()))
    # The arrays of the trees themselves.
    trees = list(_trees(fitted))
    assert bool(trees) is not isinstance(forest, DummyClassifier)
    for nodes, names, _ in trees[:1]:
        inner = int(np.argmax(nodes[names[0]] > 0))
        for name, value in ((names[0], len(nodes)), (names[1], inner), (names[2], 99)):
            before = nodes[name][inner]
            nodes[name][inner] = value
            with pytest.raises(InputError, match="holds a damaged tree"):
                check_trees(fitted, "x")
            nodes[name][inner] = before
        check_trees(fitted, "x")


@pytest.mark.parametrize("path", sorted(KNOWN))
def test_every_classifier_that_needs_no_permission_is_opened_again(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = imported(path, what="student")(**({"probability": True} if path.startswith("sklearn.svm") else {}))
        if path.endswith("SGDClassifier"):
            made.set_params(loss="log_loss")
        assert check_classifier_options(path, made.get_params(), "student.options") is None
        draw = np.random.default_rng(0)
        matrix, label = np.abs(draw.normal(size=(60, 3))).round(1), draw.integers(0, 3, 60)
        if not has_fit_parameter(made, "sample_weight"):
            with pytest.raises(InputError, match="does not take sample_weight"):
                EstimatorBody(type(made), {}, path, (3,), 3)
            return
        made.fit(matrix, label)
    assert np.array_equal(opened(archived(made), path).predict_proba(matrix), made.predict_proba(matrix))
