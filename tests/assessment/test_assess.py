"""The assessment of a teacher, on synthetic data whose truth is known."""

import io
import json
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from rich.console import Console
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

import overproof
from overproof.assessment.assess import assess
from overproof.assessment.estimates import Estimate
from overproof.assessment.probes import PENALTIES, Coordinates, area_under_curve, error_probe, probe
from overproof.assessment.recommendation import OverCommonest, recommend
from overproof.commands.output.assess_table import page
from overproof.cross_fitting import folds
from overproof.errors import InputError
from overproof.functional.repeats import Repeats
from overproof.noise import log_loss
from overproof.progress import Silent
from overproof.report import assessment_page
from overproof.runs.experiment import experiment_from
from overproof.runs.pipeline import Run
from overproof.seeds import derived_seed
from overproof.synthetic import blobs

NAMES = ("red", "green", "blue")


def assessed(world, num_labelled=400, features=None, **options):
    few, rest = slice(0, num_labelled), slice(num_labelled, None)
    return assess(
        world.label[few],
        world.teacher_probs[few],
        world.teacher_probs[rest],
        class_names=NAMES,
        features=None if features is None else features[few],
        **options,
    )


def test_the_estimates_hold_the_truth():
    world = blobs(num_examples=6000, num_classes=3, seed=0)
    found = assessed(world)
    answer = world.teacher_probs.argmax(dim=1)
    right = (answer == world.label).double()
    assert found.accuracy.low < right.mean() < found.accuracy.high
    assert found.pool_accuracy.low - 0.01 < right[400:].mean() < found.pool_accuracy.high + 0.01
    assert found.accuracy.mean == pytest.approx(right[:400].mean().item())
    for index, name in enumerate(NAMES):
        mine = world.label == index
        assert found.accuracy_by_class[name].low - 0.03 < right[mine].mean() < found.accuracy_by_class[name].high
        assert found.share_by_class[name] == pytest.approx((answer[400:] == index).double().mean().item())
    assert sum(found.pool_by_accuracy) == pytest.approx(1)
    assert [sum(row) for row in found.transition] == pytest.approx([1, 1, 1])
    assert found.coverage[3] == 1.0
    assert found.drift > 0.01
    assert not found.findings


def test_columns_in_another_order_are_refused_with_the_order_that_fits():
    world = blobs(num_examples=300, num_classes=3, seed=0)
    swapped = world.teacher_probs[:, [1, 0, 2]]
    with pytest.raises(InputError, match=r"right for \d+ of 200 .*; in the order green, red, blue they are right for"):
        overproof.assess(world.label[:200], swapped[:200], swapped[200:], class_names=NAMES)
    # A run has compared the order with that of the files; what it spoils on purpose is assessed.
    assert assess(world.label[:200], swapped[:200], swapped[200:], class_names=NAMES, checked=True).accuracy.high < 0.5


def test_arrays_and_frames_are_read_as_for_distill():
    world = blobs(num_examples=300, num_classes=3, seed=0)
    expected = assessed(world, 100)
    probs, names = world.teacher_probs.numpy(), np.array(NAMES)[world.label.numpy()]
    assert overproof.assess(names[:100], probs[:100], probs[100:], class_names=NAMES) == expected
    frame = pa.table({name: probs[:, index] for index, name in reversed(list(enumerate(NAMES)))})
    assert overproof.assess(names[:100], frame[:100], frame[100:], class_names=NAMES) == expected
    for change, words in (
        ({"labels": names[:99]}, "has 100 rows for 99 labels"),
        ({"pool_teacher_probs": probs[100:] * 2}, r"pool_teacher_probs, row 0 .*: the probabilities sum to 2"),
        ({"pool_teacher_probs": probs[100:, :2]}, "pool_teacher_probs has 2 columns for 3 classes"),
        ({"labels": [None, *names[1:100]]}, "labels, row 0: the label is unknown"),
    ):
        given = {"labels": names[:100], "labelled_teacher_probs": probs[:100], "pool_teacher_probs": probs[100:]}
        with pytest.raises(InputError, match=words):
            overproof.assess(**{**given, **change}, class_names=NAMES)


def test_the_reliability_band_holds_the_true_accuracy_at_every_margin():
    world = blobs(num_examples=30_000, num_classes=3, seed=1)
    found = assessed(world, num_labelled=600)
    top = world.teacher_probs.topk(2, dim=1).values
    margins, right = top[:, 0] - top[:, 1], world.teacher_probs.argmax(dim=1) == world.label
    for at in (0.2, 0.5, 0.8):
        near = (margins - at).abs() < 0.05
        estimate = found.reliability[at]
        assert estimate.low - 0.03 < right[near].double().mean() < estimate.high + 0.03


def test_a_shifted_pool_and_repeated_examples_are_reported():
    world = blobs(num_examples=3000, num_classes=3, seed=2)
    few, unsure = slice(0, 300), world.teacher_probs[300:].pow(0.3)
    found = assess(
        world.label[few],
        world.teacher_probs[few],
        unsure / unsure.sum(dim=1, keepdim=True),
        class_names=NAMES,
        repeated={"pool": 7, "labelled": 0},
    )
    assert any("not distributed like the labelled examples" in finding for finding in found.findings)
    assert any(finding.startswith("7 pool examples are also in the test set") for finding in found.findings)
    assert found.pool_accuracy.mean < found.accuracy.mean


def test_a_probe_is_out_of_sample():
    """Features of pure noise: in sample they would explain everything, out of sample nothing."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(200) % 2
    features = torch.randn(200, 400, generator=generator).numpy()
    probs = probe(features, labels, 2, seed=0)
    torch.testing.assert_close(probs.sum(dim=1), torch.ones(200, dtype=torch.float64))
    assert 0.35 < (probs.argmax(dim=1) == labels).double().mean() < 0.65


def test_many_features_are_as_many_coordinates_as_examples():
    """The probe's predictions are the same as on the features themselves."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    features = (torch.randn(60, 80, generator=generator) + labels[:, None] * 0.3).numpy().astype(np.float64)
    wide = probe(features, labels, 3, seed=0)
    padded = np.concatenate([features, np.zeros((60, 500))], axis=1)
    torch.testing.assert_close(probe(padded, labels, 3, seed=0), wide, atol=5e-3, rtol=0)
    direct = LogisticRegression(max_iter=10_000, tol=1e-9).fit(features[:40], labels[:40]).predict_proba(features[40:])
    centred = features - features.mean(axis=0)
    for given in (features, csr_matrix(features), features[:, :50]):
        turned, own = Coordinates.of(given).values, centred[:, : given.shape[1]]
        assert turned.shape == (60, min(60, given.shape[1]))
        np.testing.assert_allclose(turned @ turned.T, own @ own.T, atol=1e-9)
    turned = Coordinates.of(features).values
    rotated = LogisticRegression(max_iter=10_000, tol=1e-9).fit(turned[:40], labels[:40]).predict_proba(turned[40:])
    np.testing.assert_allclose(rotated, direct, atol=1e-5)


def test_the_probe_is_logistic_regression_with_the_penalty_of_least_loss(monkeypatch):
    """scikit-learn's, on the same folds, where one penalty is allowed; of several the one of least inner loss."""
    generator = torch.Generator().manual_seed(4)
    labels = torch.randint(3, (150,), generator=generator)
    features = (torch.randn(150, 30, generator=generator) + torch.eye(30)[labels] * 1.5).numpy().astype(np.float64)
    fold = folds(labels, 5, derived_seed(0, "probe")).numpy()

    def by_hand(penalty: float) -> np.ndarray:
        probs = np.zeros((150, 3))
        for number in range(5):
            model = LogisticRegression(C=1 / penalty, max_iter=10_000, tol=1e-10)
            model.fit(features[fold != number], labels.numpy()[fold != number])
            probs[fold == number] = model.predict_proba(features[fold == number])
        return probs

    losses = {}
    for penalty in PENALTIES:
        with monkeypatch.context() as changed:
            changed.setattr("overproof.assessment.probes.PENALTIES", (penalty,))
            alone = probe(features, labels, 3, seed=0)
        if penalty >= 0.1:
            np.testing.assert_allclose(alone.numpy(), by_hand(penalty), atol=0.01)
        losses[penalty] = log_loss(alone, labels).mean().item()
    chosen = log_loss(probe(features, labels, 3, seed=0), labels).mean().item()
    assert chosen < min(losses.values()) + 0.01 < max(losses.values()) - 0.01


def test_a_probe_of_little_penalty_is_fitted_to_its_end():
    """From zero, a fit of the smallest penalties stopped early: .83 right at a log-loss of .76."""
    rng, label = np.random.default_rng(0), np.arange(400) % 20
    centre = rng.normal(size=(20, 400)) * (np.arange(400) < 60)
    features = 0.6 * centre[label] + rng.normal(size=(400, 400)) / np.sqrt(1 + np.arange(400) / 50)
    labels = torch.from_numpy(label)
    probs = probe(features, labels, 20, seed=0)
    assert (probs.argmax(dim=1) == labels).double().mean() > 0.95
    assert log_loss(probs, labels).mean() < 0.2


def test_axes_of_little_variance_are_left_out_only_where_there_are_many():
    generator = torch.Generator().manual_seed(5)
    spread = torch.where(torch.arange(500) < 310, 1.0, 0.01)
    features = (torch.randn(600, 500, generator=generator) * spread).numpy()
    left = Coordinates.of(features).values.shape[1]
    assert 300 <= left < 310
    assert ((Coordinates.of(features).values ** 2).sum() / ((features - features.mean(axis=0)) ** 2).sum()) > 0.99
    assert Coordinates.of(features[:, 250:400]).values.shape[1] == 150


def test_a_class_that_a_fold_lacks_has_no_probability_there():
    labels = torch.tensor([0, 1] * 20 + [2])
    features = torch.nn.functional.one_hot(labels, 3).double().numpy()
    probs = probe(features, labels, 3, seed=0)
    assert probs[-1, 2] == 0
    torch.testing.assert_close(probs.sum(dim=1), torch.ones(41, dtype=torch.float64))


def test_peer_rounds_are_recommended_exactly_where_the_features_add_information():
    """The teacher predicts from one of two coordinates."""
    generator = torch.Generator().manual_seed(3)
    label = torch.randint(2, (4000,), generator=generator)
    views = (2.0 * label[:, None] - 1) + 1.2 * torch.randn(4000, 2, generator=generator)
    teacher = torch.sigmoid(torch.stack([-views[:, 0], views[:, 0]], dim=1) * 2 * 2 / 1.44 / 2)
    teacher = teacher / teacher.sum(dim=1, keepdim=True)
    few, names = slice(0, 300), ("no", "yes")
    assessments = []
    for features in (views[few, 1:], views[few, :1], torch.randn(300, 2, generator=generator)):
        found = assess(label[few], teacher[few], teacher[300:], class_names=names, features=features.numpy())
        assessments.append(found)
        assert set(found.log_losses) == {"teacher", "labels alone", "both"}
    other, same, noise = assessments
    assert other.recommendation == "slam, rounds: 3"
    assert other.yaml == "methods: [{method: slam, name: slam_rounds, rounds: 3}]"
    assert other.log_losses["both"] < min(other.log_losses["teacher"], other.log_losses["labels alone"])
    assert same.recommendation == "hard"
    # Class names are probabilities of 1: an error has an infinite log-loss, which no clipped number stands for.
    named = torch.nn.functional.one_hot(teacher.argmax(dim=1), 2).to(teacher.dtype)
    assert assess(label[few], named[few], named[300:], class_names=names).log_losses == {}
    plain = assess(label[few], teacher[few], teacher[300:], class_names=names).log_losses["teacher"]
    assert plain == pytest.approx(float(-teacher[few].gather(1, label[few, None]).log().mean()))
    sure = Estimate(mean=1.0, low=0.96, high=1.0)
    assert recommend(sure, sure, None, None, 0.5)[0] == "hard"
    assert "right on every labelled example" in recommend(sure, sure, None, None, 0.5)[1]
    assert "Without the student's features" in recommend(sure, None, None, None, 0.5)[1]
    assert same.yaml == "methods: [hard]"
    assert same.alone_where_wrong.mean < 0.2
    assert "most frequent class" in noise.reason


def test_the_rules_in_their_order():
    low, high = Estimate(mean=0.6, low=0.55, high=0.65), Estimate(mean=0.8, low=0.75, high=0.85)
    few = Estimate(mean=0.1, low=0.05, high=0.2)
    nothing, some = Estimate(mean=0.0, low=-0.1, high=0.1), Estimate(mean=0.1, low=0.05, high=0.15)
    assert recommend(low, high, high, some, 0.5)[0] == "slam, rounds: 3"
    assert recommend(low, high, high, nothing, 0.5)[0] == "labelled_only"
    assert recommend(high, low, few, nothing, 0.5)[0] == "hard"
    assert recommend(high, low, few, nothing, 0.57)[1] == recommend(high, low, low, nothing, 0.57)[1]
    assert recommend(high, low, low, nothing, 0.5)[0] == "slam"
    assert recommend(high, None, None, None, 0.5)[0] == "slam"


def a_teacher(label, right_share, seed=0):
    """Probabilities of a teacher that names class 0, except for a share of the others, which it gets right."""
    generator = torch.Generator().manual_seed(seed)
    named = label * (torch.rand(len(label), generator=generator) < right_share)
    return torch.nn.functional.one_hot(named, 3) * 0.6 + 0.4 / 3


def test_a_teacher_that_names_the_most_frequent_class_is_not_recommended():
    generator = torch.Generator().manual_seed(7)
    label = (torch.rand(3000, generator=generator) < 0.4).long() * torch.randint(1, 3, (3000,), generator=generator)
    views = torch.nn.functional.one_hot(label, 3) * 2.0 + torch.randn(3000, 3, generator=generator)
    noise, few, names = torch.randn(3000, 3, generator=generator), slice(0, 200), ("a", "b", "c")
    level, better = a_teacher(label, 0.0), a_teacher(label, 0.6)

    share = (label[few] == 0).double().mean().item()
    for probs, features, expected in ((level, views, "labelled_only"), (level, noise, "auto"), (level, None, "auto")):
        made = assess(
            label[few],
            probs[few],
            probs[300:],
            class_names=names,
            features=None if features is None else features[few].numpy(),
        )
        assert made.recommendation == expected
        assert f"no better than naming the most frequent class, 'a' ({share:.1%}), for every example" in made.reason
        assert "the difference is +0.0% [+0.0%, +0.0%]" in made.reason
    # 30 labels do not show a gain, but this teacher has one on them; the other has none.
    assert "most frequent class, 'a'" not in assess(label[:30], better[:30], better[300:], class_names=names).reason
    assert assess(label[:30], level[:30], level[300:], class_names=names).recommendation == "labelled_only"
    assert "most frequent class" not in assess(label[few], better[few], better[300:], class_names=names).reason


def test_a_gain_over_the_most_frequent_class_is_of_paired_examples():
    labels, names = torch.tensor([0] * 60 + [1] * 40), ["no", "yes"]
    right = torch.tensor([True] * 55 + [False] * 5 + [True] * 20 + [False] * 20)
    over = OverCommonest.of(right, labels, names, Repeats.none(100))
    # 5 lost and 20 won of 100: .15, with a standard deviation of √(.25 − .15²) in the examples.
    error = 1.96 * ((0.25 - 0.15**2) / 99) ** 0.5
    assert over.gain.mean == pytest.approx(0.15)
    assert over.gain.low == pytest.approx(0.15 - error, abs=1e-4)
    assert not over.is_level
    assert replace(over, gain=Estimate(mean=0.15, low=-0.01, high=0.31)).is_level
    assert not replace(over, num_independent=49.0, gain=Estimate(mean=0.15, low=-0.01, high=0.31)).is_level
    assert replace(over, num_independent=49.0, gain=Estimate(mean=0.0, low=-0.1, high=0.1)).is_level


def test_too_few_labels_and_no_pool_are_rejected():
    world = blobs(num_examples=100, num_classes=3, seed=0)
    with pytest.raises(InputError, match="at least 20 labelled examples; there are 19"):
        assessed(world, num_labelled=19)
    # What the answers say by themselves is said.
    with pytest.raises(InputError, match=r"there are 0\. .* Of its 100 answers to the pool it names \w+ \d+ %"):
        assessed(world, num_labelled=0)
    with pytest.raises(InputError, match="no pool, so there are no teacher answers to assess"):
        assessed(world, num_labelled=100)


def test_the_page_fits_80_columns_and_the_numbers_fit_json():
    world = blobs(num_examples=500, num_classes=3, seed=0)
    found = assessed(world, num_labelled=100, features=world.inputs.numpy().astype(np.float32))
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(page(found))
    shown = console.export_text()
    assert shown.startswith("The teacher (92.0% [84.8%, 96.5%]) may be better than your labels alone (91.0%")
    assert "\nRecommendation: " in shown
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "teacher accuracy" in shown
    output = json.loads(json.dumps(asdict(found)))
    assert output["accuracy"]["mean"] == found.accuracy.mean


def test_a_mean_of_copies_is_not_compared_with_single_copies():
    world = blobs(num_examples=3000, num_classes=3, seed=0)
    generator = torch.Generator().manual_seed(1)
    copies = [(2 * torch.randn(3000, 3, generator=generator) + world.teacher_probs.log()).softmax(1) for _ in range(5)]
    single, mean = copies[0][:400], torch.stack(copies).mean(0)[400:]
    # Rows drawn at random: the test sees the means.
    assert assess(world.label[:400], single, mean, class_names=NAMES).drift < 1e-6
    found = assess(world.label[:400], single, mean, class_names=NAMES, copies=True)
    assert found.drift is None
    assert not [each for each in found.findings if "not distributed" in each]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(page(found))
    assert "pool and labels" not in console.export_text()


@pytest.mark.parametrize(("teacher", "compared"), [({"model": "linear"}, False), ({"answers": "given.csv"}, True)])
def test_only_answers_of_one_teacher_to_all_are_compared(teacher, compared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    world = blobs(num_examples=200, num_classes=2, seed=0)
    rows = [f"{i},{x:.4f},{y:.4f}" for i, (x, y, *_) in enumerate(world.inputs.tolist())]
    labels = ["ab"[each] if i < 60 else "" for i, each in enumerate(world.label.tolist())]
    lines = [f"{row},{label}" for row, label in zip(rows, labels, strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(["id,u,v,y", *lines]))
    answers = [f"{i},{a:.5f},{b:.5f}" for i, (a, b) in enumerate(world.teacher_probs.double().tolist())]
    (tmp_path / "given.csv").write_text("\n".join(["id,a,b", *answers]))
    files = {"all": {"path": "data.csv", "label": "y", "id": "id"}}
    data = {"files": files, "rows": {"labelled": "all", "test": "cross-validate"}, "folds": 2}
    content = {"data": data, "teacher": teacher, "student": "linear", "methods": ["hard"]}
    run = Run(experiment=experiment_from(content), folder=tmp_path / "run", progress=Silent())
    assert (run.assess().drift is not None) is compared


# --- are the errors predictable from the inputs


def flipped(world, share=0.3, region=None):
    """Answers that are right with margin .6, and wrong at random or in a region of the inputs, with the same margin."""
    draw = torch.Generator().manual_seed(3)
    wrong = (torch.rand(len(world.label), generator=draw) < share) if region is None else region
    named = torch.where(wrong, (world.label + 1) % 3, world.label)
    return 0.2 + 0.4 * torch.nn.functional.one_hot(named, 3).double(), wrong


def test_errors_that_follow_from_the_inputs_are_distinguished_from_random_ones():
    world = blobs(num_examples=900, num_classes=3, seed=0)
    margins = torch.full((900,), 0.4)
    random = error_probe(world.inputs.numpy(), flipped(world)[1], margins, 0)
    assert not random.follows_from_inputs
    assert random.by_inputs[1] < 0.5 < random.by_inputs[2] + 0.05
    assert random.by_margin == (0.5, 0.5, 0.5)
    assert "look random" in random.sentence()
    region = world.inputs[:, 0] > world.inputs[:, 0].quantile(0.7)
    systematic = error_probe(world.inputs.numpy(), region, margins, 0)
    assert systematic.follows_from_inputs
    assert systematic.by_inputs[0] > 0.95
    assert "systematic" in systematic.sentence()
    errors = error_probe(world.inputs.numpy(), region, torch.where(region, 0.1, 0.9), 0)
    assert errors.by_margin[0] == 1.0
    assert not errors.follows_from_inputs, "the margin predicts all errors"
    assert error_probe(world.inputs.numpy(), region & (torch.arange(900) < 10), margins, 0) is None


def test_an_area_is_the_probability_of_a_correct_order():
    draw = np.random.default_rng(0)
    score, positive = draw.integers(5, size=60).astype(float), draw.random(60) < 0.4
    pairs = [(a > b) + (a == b) / 2 for a in score[positive] for b in score[~positive]]
    assert area_under_curve(score, positive) == pytest.approx(np.mean(pairs))


def test_an_assessment_holds_the_ceiling_and_the_repeated_examples():
    world = blobs(num_examples=1500, num_classes=3, seed=0)
    found = assessed(world, features=world.inputs.numpy(), repeated={"pool": 7, "train": 0})
    assert found.ceiling.mean >= max(found.accuracy.mean, found.labels_alone.mean) - 0.03
    assert found.repeated == {"pool": 7, "train": 0}
    for low, entry, high in zip(found.transition_low, found.transition, found.transition_high, strict=True):
        assert all(a <= b + 1e-9 and b <= c + 1e-9 for a, b, c in zip(low, entry, high, strict=True))
    assert found.errors is not None
    assert found.errors.sentence() in found.findings
    output = json.loads(json.dumps(asdict(found)))
    assert len(output["errors"]["by_inputs"]) == 3


def test_an_assessment_is_a_page(tmp_path):
    world = blobs(num_examples=900, num_classes=3, seed=0)
    found = assessed(world, features=world.inputs.numpy(), repeated={"pool": 7})
    made = assessment_page(replace(found, share_by_class={"<b>": 1.0, "green": 0.0, "blue": 0.0}), "who & what")
    assert f"Recommendation: {found.recommendation}" in made
    assert found.opening in made
    assert f">{found.yaml}<" in made
    # What no student can read is not called what a student reaches.
    assert "reads the teacher&#39;s answer to the row itself, which a student does not: expect less" in made
    assert "who &amp; what" in made
    assert "<b>" not in made
    assert "<script" not in made
    assert "7 pool" in made
    assert made.count('role="img"') == 3
    assert str(found.ceiling) in made
    assert assessment_page(found, "x") == assessment_page(found, "x")


def test_rows_without_an_answer_are_left_out_and_counted():
    world = blobs(num_examples=400, num_classes=3, seed=0)
    names = np.array(["ant", "bee", "cat"])
    answers, labels = names[world.teacher_probs.argmax(dim=1)], names[world.label]
    gone = [None if row in (3, 150) else "unknown" if row == 9 else f"{word}." for row, word in enumerate(answers)]
    found = assess(labels[:100], gone[:100], gone[100:], features=world.inputs[:100].numpy())
    some = [row for row in range(100) if row not in (3, 9)]
    pool = [row for row in range(100, 400) if row != 150]
    plain = assess(labels[some], answers[some], answers[pool], features=world.inputs[some].numpy())
    assert replace(found, findings=()) == replace(plain, findings=())
    said = "labelled_teacher_probs: 2 of 100 rows have no answer (None (1), 'unknown' (1)); they are left out."
    assert said in found.findings
    assert "pool_teacher_probs: 1 of 300 rows has no answer (None (1)); it is left out." in found.findings


def test_hard_labels_are_judged_on_the_pool_by_the_classes_they_name():
    """Right in half where the teacher names red, else always; the pool has other shares of answers than the labels."""
    names, eye = ("blue", "green", "red"), torch.eye(3)
    named = torch.tensor([0, 1, 2]).repeat_interleave(100)
    labels = torch.where((named == 2) & (torch.arange(300) % 2 == 0), 0, named)
    pool = eye[torch.tensor([0] * 100 + [1] * 100 + [2] * 800)]
    found = overproof.assess(labels, eye[named], pool, class_names=names)
    assert found.accuracy.mean == pytest.approx(250 / 300)
    # Of 100 answers that name red 50 are right; four imaginary ones are as right as all are.
    prior = 4 * 251 / 302
    expected = 0.2 * (100 + prior) / 104 + 0.8 * (50 + prior) / 104
    assert found.pool_accuracy.mean == pytest.approx(expected)
    assert found.pool_accuracy.low < 0.6 < found.pool_accuracy.high < 0.72
    assert found.drift < 0.001
    (finding,) = [text for text in found.findings if "not distributed" in text]
    assert "the teacher's answers name the classes in other shares (p = 0.0002)" in finding
    # A hard label says nothing of the second likeliest class, nor how sure it is.
    assert found.coverage == {1: found.accuracy.mean}
    alike = overproof.assess(labels, eye[named], eye[named], class_names=names)
    assert alike.drift == 1.0
    assert alike.pool_accuracy.mean == pytest.approx(alike.accuracy.mean, abs=0.01)
    shown = Console(file=io.StringIO(), width=120)
    shown.print(page(found))
    for text in (shown.file.getvalue(), assessment_page(found, title="tickets")):
        assert not {said for said in ("truth among", "temperature", "by margin") if said in text}
        assert "by the named classes" in text
        assert "by the teacher's named classes, p = " in text.replace("&#39;", "'")


def test_equally_likely_classes_count_by_the_orders_that_have_the_truth():
    """Of [.6, .2, .2] the second is either of two, of [.2, .4, .4] the first is."""
    probs = torch.tensor([[0.6, 0.2, 0.2], [0.2, 0.4, 0.4]]).repeat(20, 1)
    found = overproof.assess(torch.tensor([1, 1]).repeat(20), probs, probs, class_names=NAMES)
    assert found.coverage == {1: 0.25, 2: 0.75, 3: 1.0}
