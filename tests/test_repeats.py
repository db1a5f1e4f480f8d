"""Repeated labelled examples, and examples of one group, count once: in Python, in a run and in an assessment."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import torch
import yaml
from sklearn import datasets
from sklearn.ensemble import RandomForestClassifier
from typer.testing import CliRunner

import overproof
from overproof.assessment.assess import assess
from overproof.assessment.estimates import mean_of, share_of
from overproof.commands.main import app
from overproof.cross_fitting import folds, held_out_rows
from overproof.data import (
    Source,
    from_arrays,
    grouped,
    read,
    read_on_disk,
    remarks_on_copies,
    remarks_on_groups,
    remarks_on_labels,
    repeats_in,
)
from overproof.data.labelled.near_copies import near_copies
from overproof.data.options import DataOptions
from overproof.deployment.abstention import choose_threshold
from overproof.errors import InputError
from overproof.functional.intervals import binomial_bounds
from overproof.functional.repeats import Repeats, joined, standard_error
from overproof.methods.noise_models import Isotonic
from overproof.noise import (
    global_accuracy,
    named_posterior_by_role,
    stack,
    stack_by_role,
    transition_interval,
)
from overproof.runs.read_roles import read_roles
from overproof.teachers.trained.frozen_encoder import _inner_folds
from overproof.training.options import TrainOptions

NUM, COPIES = 30, 6


def noise(num: int = NUM):
    """Inputs and labels that have nothing to do with each other, and more inputs."""
    draw = np.random.default_rng(0)
    return draw.normal(size=(400, 3)), draw.integers(2, size=num)


def accuracy_of(labelled, labels, **options):
    pool = noise()[0][100:]
    options.setdefault("method", "slam")
    forest = RandomForestClassifier(30, random_state=0)
    return overproof.distill("linear", pool, forest, labelled, labels, train=TrainOptions(epochs=1), **options)


def check_interval_of_thirty(mean, low, high):
    """At chance, with the interval of thirty examples."""
    expected_low, expected_high = binomial_bounds(mean * NUM, NUM, tail=0.025)
    assert low == pytest.approx(float(expected_low), abs=0.03)
    assert high == pytest.approx(float(expected_high), abs=0.03)
    assert low < 0.5 < high


# --- the rule itself


def test_contents_and_groups_are_connected():
    repeats = Repeats.of(["a", "b", "b", "c", "d"], ["p", "p", "q", "q", "r"])
    assert repeats.group.tolist() == [0, 0, 0, 0, 1]
    assert repeats.once.tolist() == [0, 1, 3, 4]
    assert repeats.num_independent == pytest.approx(16 / 10)
    part = repeats.take(torch.tensor([4, 2, 1]))
    assert (part.group.tolist(), part.content.tolist()) == ([0, 1, 1], [0, 1, 1])
    assert repeats.counted(torch.tensor([4, 2, 1])).tolist() == [4, 2]
    assert not Repeats.none(3).any


def test_sets_are_joined_by_their_groups_alone():
    parts = [Repeats.of([1, 1]), Repeats.of([1, 2])]
    assert joined(parts).group.tolist() == [0, 0, 1, 2]
    assert joined(parts, [torch.tensor([5, 5]), torch.tensor([6, 5])]).group.tolist() == [0, 0, 1, 0]
    assert joined(parts, [torch.tensor([5, 5]), None]).group.tolist() == [0, 0, 1, 2]


def test_a_resample_draws_whole_groups():
    repeats = Repeats.of(range(6), [0, 0, 1, 1, 2, 2])
    rows = repeats.resampled(np.random.default_rng(0))
    assert np.unique(rows // 2, return_counts=True)[1].sum() == 6
    assert all((rows == 2 * group).sum() == (rows == 2 * group + 1).sum() for group in range(3))


def test_standard_errors_count_groups():
    values = torch.tensor([0.0, 1.0, 0.0, 1.0]).double()
    alone = standard_error(values[:2].repeat_interleave(1))
    assert standard_error(values.repeat_interleave(6), Repeats.of(np.repeat(range(4), 6))) == pytest.approx(
        standard_error(values)
    )
    assert standard_error(values, Repeats.of(range(4), [0, 1, 0, 1])) == pytest.approx(alone)
    assert mean_of(values.numpy(), Repeats.of(range(4), [0] * 4)).high == float("inf")
    assert str(share_of(values > 0, Repeats.of(range(4), [0, 1, 0, 1]))) == str(share_of(values[:2] > 0))


def test_fewer_groups_than_folds_are_refused():
    group = Repeats.of(range(20), np.arange(20) % 3).group
    with pytest.raises(InputError, match=r"20 labelled examples have 3 different contents .or groups"):
        folds(torch.zeros(20, dtype=torch.long), 5, 0, group)
    held_out = held_out_rows(torch.zeros(20, dtype=torch.long), 0.3, 0, group)
    assert len(group[held_out].unique()) + len(group[~held_out].unique()) == 3


# --- every estimate of repeated examples is that of distinct ones


@pytest.fixture
def judged():
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(3, (40,), generator=generator)
    probs = (torch.nn.functional.one_hot(label, 3) * 1.5 + torch.randn(40, 3, generator=generator)).softmax(dim=1)
    return label, probs, torch.rand(40, 3, generator=generator).softmax(dim=1)


def test_estimates_of_repeated_examples_are_those_of_distinct_ones(judged):
    label, probs, other = judged
    rows = torch.arange(40).repeat(COPIES)
    repeats = Repeats.of(rows)
    assert global_accuracy(label[rows], probs[rows], repeats=repeats) == global_accuracy(label, probs)
    many, few = (
        transition_interval(label[rows], probs[rows], repeats=repeats),
        transition_interval(label, probs),
    )
    assert all(torch.equal(a, b) for a, b in zip(many, few, strict=True))
    many, few = Isotonic().fit(probs[rows], label[rows], repeats), Isotonic().fit(probs, label)
    assert many.summary() == few.summary()
    hard = torch.nn.functional.one_hot(probs.argmax(dim=1), 3).float()
    assert Isotonic().fit(hard[rows], label[rows], repeats).summary() == Isotonic().fit(hard, label).summary()
    assert stack([probs[rows], other[rows]], label[rows], repeats=repeats).summary() == (
        stack([probs, other], label).summary()
    )
    scores = [{"labelled": each, "pool": each[:5]} for each in (probs, other)]
    twice = [{"labelled": each["labelled"][rows], "pool": each["pool"]} for each in scores]
    many, _ = stack_by_role(twice, {"labelled": label[rows]}, seed=0, repeats=repeats)
    few, _ = stack_by_role(scores, {"labelled": label}, seed=0)
    assert torch.allclose(many["labelled"], few["labelled"][rows])
    assert torch.equal(many["pool"], few["pool"])
    many = named_posterior_by_role({"labelled": hard[rows]}, {"labelled": label[rows]}, seed=0, repeats=repeats)
    few = named_posterior_by_role({"labelled": hard}, {"labelled": label}, seed=0)
    assert torch.equal(many["labelled"], few["labelled"][rows])


def test_an_assessment_of_repeated_examples_is_that_of_distinct_ones(judged):
    label, probs, features = judged
    rows = torch.arange(40).repeat(COPIES)
    options = {"class_names": "abc", "seed": 0}
    many = assess(label[rows], probs[rows], probs, features=features[rows], repeats=Repeats.of(rows), **options)
    assert many == assess(label, probs, probs, features=features, **options)


def test_groups_widen_every_interval_of_an_assessment(judged):
    label, probs, features = judged
    options = {"class_names": "abc", "seed": 0, "features": features}
    alone = assess(label, probs, probs, **options)
    grouped = assess(label, probs, probs, repeats=Repeats.of(range(40), np.arange(40) // 4), **options)
    for name in ("accuracy", "labels_alone", "ceiling"):
        one, other = getattr(alone, name), getattr(grouped, name)
        assert other.high - other.low > 1.4 * (one.high - one.low), name
    assert grouped.transition_high[0][0] - grouped.transition_low[0][0] > (
        alone.transition_high[0][0] - alone.transition_low[0][0]
    )


# --- the whole way: pure noise is at chance


def test_distill_is_at_chance_on_repeated_noise():
    inputs, labels = noise()
    once = accuracy_of(inputs[:NUM], labels)
    many = accuracy_of(np.tile(inputs[:NUM], (COPIES, 1)), np.tile(labels, COPIES))
    check_interval_of_thirty(*many.noise.mean_accuracy)
    assert many.noise.num_examples == once.noise.num_examples == NUM
    assert many.num_labelled == NUM * COPIES


@pytest.mark.parametrize("options", [{"method": "wd"}, {"rounds": 1}, {"method": "fidelity"}])
def test_distill_keeps_groups_together(options):
    inputs, labels = noise()
    near = np.repeat(inputs[:NUM], COPIES, axis=0) + np.random.default_rng(1).normal(size=(NUM * COPIES, 3)) * 0.01
    author = np.repeat([f"author {number}" for number in range(NUM)], COPIES)
    mean, _, _ = accuracy_of(near, np.repeat(labels, COPIES), **options).noise.mean_accuracy
    assert mean > 0.8
    result = accuracy_of(near, np.repeat(labels, COPIES), labelled_group=author, **options)
    check_interval_of_thirty(*result.noise.mean_accuracy)


def test_a_group_of_another_length_is_refused():
    inputs, labels = noise()
    with pytest.raises(InputError, match="labelled_group has 3 values for 30 examples"):
        accuracy_of(inputs[:NUM], labels, labelled_group=[1, 2, 3])
    for odd in ("customer", 5):
        with pytest.raises(InputError, match=r"labelled_group is .*; a value for each of the 30 examples is needed"):
            accuracy_of(inputs[:NUM], labels, labelled_group=odd)
    with pytest.raises(InputError, match=r"labelled_group has groups of type double"):
        accuracy_of(inputs[:NUM], labels, labelled_group=np.linspace(0, 1, NUM))


def write(path, inputs, **columns):
    pa.csv.write_csv(pa.table({**dict(zip("abc", inputs.T, strict=True)), **columns}), path)


def experiment(folder, labelled, **data):
    inputs, _ = noise()
    more = {"patient": np.arange(100)} if "group" in data else {}
    write(folder / "pool.csv", inputs[100:200], **more)
    write(folder / "test.csv", inputs[200:300], y=["no", "yes"] * 50, **more)
    files = {
        "labelled": {"path": str(folder / labelled), "label": "y"},
        "pool": {"path": str(folder / "pool.csv")},
        "test": {"path": str(folder / "test.csv"), "label": "y"},
    }
    options = {
        "data": {"files": files, **data},
        "teacher": {"model": "sklearn.ensemble:RandomForestClassifier", "options": {"n_estimators": 30}},
        "student": {"name": "linear"},
        "train": {"epochs": 1},
        "methods": ["labelled_only", "hard", "slam"],
        "seeds": [0],
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(options))
    return path


def command(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.stdout


def check_both_commands(folder, path):
    found = json.loads(command("assess", path, "--out", folder / "assessed", "--json"))
    ends = ("mean", "low", "high")
    check_interval_of_thirty(*(found["accuracy"][each] for each in ends))
    command("run", path, "--out", folder / "run")
    row = json.loads((folder / "run/students/seed-0/slam/row.json").read_text())
    check_interval_of_thirty(*(row["teacher_accuracy"][each] for each in ends))
    check_interval_of_thirty(*row["noise"]["mean_accuracy"].values())
    return found, row


def test_run_and_assess_are_at_chance_on_repeated_noise(tmp_path):
    inputs, labels = noise()
    write(tmp_path / "many.csv", np.tile(inputs[:NUM], (COPIES, 1)), y=np.where(np.tile(labels, COPIES), "yes", "no"))
    found, row = check_both_commands(tmp_path, experiment(tmp_path, "many.csv"))
    assert found["num_labelled"] == row["noise"]["num_examples"] == NUM


def test_answers_from_a_file_count_repeated_content_once(tmp_path):
    """Each copy under an id of its own, as a file of answers is joined."""
    inputs, labels = noise()
    many = NUM * COPIES
    ids = {"labelled": np.arange(many), "pool": 1000 + np.arange(100), "test": 2000 + np.arange(100)}
    write(
        tmp_path / "many.csv", np.tile(inputs[:NUM], (COPIES, 1)),
        y=np.where(np.tile(labels, COPIES), "yes", "no"), id=ids["labelled"],
    )  # fmt: skip
    path = experiment(tmp_path, "many.csv")
    write(tmp_path / "pool.csv", inputs[100:200], id=ids["pool"])
    write(tmp_path / "test.csv", inputs[200:300], y=["no", "yes"] * 50, id=ids["test"])
    draw = np.random.default_rng(3)
    yes = np.concatenate([np.tile(draw.uniform(0.05, 0.95, NUM), COPIES), draw.uniform(0.05, 0.95, 200)])
    pa.csv.write_csv(
        pa.table({"id": np.concatenate(list(ids.values())), "no": 1 - yes, "yes": yes}), tmp_path / "answers.csv"
    )
    options = yaml.safe_load(path.read_text())
    for each in options["data"]["files"].values():
        each["id"] = "id"
    options["teacher"] = {"model": "answers", "answers": [str(tmp_path / "answers.csv")]}
    path.write_text(yaml.safe_dump(options))
    found, row = check_both_commands(tmp_path, path)
    assert found["num_labelled"] == row["noise"]["num_examples"] == NUM


def test_run_and_assess_keep_groups_together(tmp_path):
    inputs, labels = noise()
    near = np.repeat(inputs[:NUM], COPIES, axis=0) + np.random.default_rng(1).normal(size=(NUM * COPIES, 3)) * 0.01
    write(
        tmp_path / "near.csv",
        near,
        y=np.where(np.repeat(labels, COPIES), "yes", "no"),
        patient=np.repeat(np.arange(1000, 1000 + NUM), COPIES),
    )
    check_both_commands(tmp_path, experiment(tmp_path, "near.csv", group="patient"))


# --- a promised risk


def test_calibration_counts_repeated_content_once():
    sure, wrong = np.linspace(0.5, 0.9, 12), np.zeros(12, bool)
    with pytest.raises(InputError) as alone:
        choose_threshold(sure, wrong, risk=0.05)
    rows = np.tile(np.arange(12), 20)
    with pytest.raises(InputError) as many:
        choose_threshold(sure[rows], wrong[rows], risk=0.05, repeats=Repeats.of(rows))
    assert str(many.value).replace(" of different content", "") == str(alone.value)
    with pytest.raises(InputError, match="on 12 labelled examples of different content"):
        choose_threshold(sure[rows], wrong[rows], risk=0.05, repeats=Repeats.of(range(240), rows))
    # A content with two labels is wrong.
    found = choose_threshold(sure[rows], rows + np.arange(240) == 0, risk=0.9, repeats=Repeats.of(rows))
    assert (found.num_wrong, found.num_calibration) == (1, 12)


def test_predict_refuses_twelve_rows_twenty_times_as_it_does_twelve(tmp_path):
    inputs, _labels = noise(200)
    result = overproof.distill(
        "linear",
        inputs[:200],
        np.eye(2)[(inputs[:200, 0] > 0).astype(int)],
        inputs[200:],
        (inputs[200:, 0] > 0).astype(int),
        np.eye(2)[(inputs[200:, 0] > 0).astype(int)],
        method="hard",
        train=TrainOptions(epochs=20),
    )
    result.student.save(tmp_path / "student")
    few = np.random.default_rng(5).normal(size=(12, 3))
    few[:, 0] += np.sign(few[:, 0]) * 3

    def table(path, rows):
        values = {f"f{place}": few[rows, place] for place in range(3)}
        label = [str(each) for each in (few[rows, 0] > 0).astype(int)]
        pa.csv.write_csv(pa.table({"id": [f"id{row}" for row in range(len(rows))], **values, "y": label}), path)

    table(tmp_path / "few.csv", np.arange(12))
    table(tmp_path / "many.csv", np.tile(np.arange(12), 20))
    said = []
    for name in ("few", "many"):
        words = ["predict", tmp_path / "student", tmp_path / "few.csv", "--out", tmp_path / "out.csv", "--risk", "0.05"]
        words += ["--calibrate", tmp_path / f"{name}.csv", "--label", "y"]
        with pytest.raises(InputError, match="on 12 labelled examples") as refusal:
            CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False, standalone_mode=False)
        said.append(str(refusal.value).replace(" of different content", ""))
    assert said[0] == said[1]


# --- what the user is told

TEXTS = [" ".join(f"word{(7 * number + place * place) % 997}" for place in range(30)) for number in range(60)]


def test_a_content_with_two_labels_is_counted():
    found = from_arrays(["x", "y", "x", "z", "y", "y"], ["a", "b", "b", "a", "b", "b"], keys=list("pqrstu"))
    (remark,) = remarks_on_labels(found)
    assert "1 content has more than one label, such as id 'p' ('a') and id 'r' ('b')" in remark
    (remark,) = remarks_on_labels(from_arrays(["x", "y", "z"], ["Billing", "billing ", "other"], origin="labelled"))
    assert remark.startswith("labelled: the labels 'Billing' and 'billing ' differ in case or spaces alone")
    assert remarks_on_labels(from_arrays(["x", "y", "x"], ["a", "b", "a"])) == []
    assert remarks_on_labels(from_arrays(["x", "y", "x"], [0, 1, -1], class_names="ab")) == []


def test_near_copies_suggest_a_group():
    edited = [text + (f" and more {copy}" if copy else "") for text in TEXTS[:20] for copy in range(3)]
    (remark,) = remarks_on_copies(from_arrays(edited))
    assert "60 of 60 labelled examples" in remark
    assert "20 sets; one holds row 0 and row 1" in remark
    assert "`group`" in remark
    assert remarks_on_copies(grouped(from_arrays(edited), np.arange(60) // 3, "group")) == []
    assert remarks_on_copies(from_arrays(["ok"] * 2 + ["OK", "ok!", "so so"] + TEXTS[:5])) == [
        "array: 10 labelled examples have 9 different contents; each counts once in estimates and their intervals."
    ]
    draw = np.random.default_rng(0)
    base = np.repeat(draw.normal(size=(40, 8)), 4, axis=0)
    (remark,) = remarks_on_copies(from_arrays(base + 0.003 * draw.normal(size=base.shape)))
    assert "160 of 160" in remark
    base[:, 3] = draw.normal(size=160)
    assert "160 of 160" in remarks_on_copies(from_arrays(base))[0]


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits"])
def test_ordinary_tables_have_no_near_copies(name):
    data = getattr(datasets, f"load_{name}")().data.astype(float)
    assert near_copies(from_arrays(data)) == []
    noise = np.random.default_rng(0).normal(size=(500, 4))
    assert near_copies(from_arrays(noise.round(1))) == []


@pytest.mark.parametrize(
    ("authors", "texts", "columns", "noise"), [(30, 6, 5, 0.05), (30, 6, 20, 0.1), (100, 3, 8, 0.05)]
)
def test_rows_that_are_copies_with_noise_are_found(authors, texts, columns, noise):
    draw = np.random.default_rng(0)
    rows = np.repeat(draw.normal(size=(authors, columns)), texts, axis=0)
    rows += noise * draw.normal(size=rows.shape)
    labels = np.repeat(draw.integers(2, size=authors), texts)
    order = draw.permutation(len(rows))
    sets = near_copies(from_arrays(rows[order] * 10.0 ** np.arange(columns), labels[order]))
    author = (np.arange(len(rows)) // texts)[order]
    assert sum(map(len, sets)) > 0.85 * len(rows)
    assert all(len(np.unique(author[each.numpy()])) == 1 for each in sets)


def worlds(draw, num, columns):
    """Tables of rows that are copies of no other."""
    gauss = draw.normal(size=(num, columns))
    yield "Gaussian", gauss
    yield "on a grid", gauss.round(1)
    yield "uniform", draw.random((num, columns))
    yield "heavy tails", draw.standard_t(2, size=(num, columns))
    yield "skewed", np.exp(gauss)
    yield "of two dimensions", draw.normal(size=(num, 2)) @ draw.normal(size=(2, columns)) + 0.01 * gauss
    yield "of any scale", gauss * np.exp(2 * draw.normal(size=(num, 1)))
    yield "in clusters", gauss + 20 * draw.normal(size=(3, columns))[draw.integers(3, size=num)]
    yield "mostly zero", np.abs(gauss) * (draw.random((num, columns)) < 0.15)
    yield "a walk", gauss.cumsum(axis=0)


@pytest.mark.parametrize(("num", "columns"), [(40, 4), (200, 3), (200, 12), (1000, 5)])
def test_rows_that_are_no_copies_are_not_taken_for_any(num, columns):
    for seed in range(3 if num < 1000 else 1):
        for name, rows in worlds(np.random.default_rng(seed), num, columns):
            assert "near copies" not in " ".join(remarks_on_copies(from_arrays(rows))), (name, seed)


def test_letters_on_a_grid_and_a_class_that_is_one_set_are_no_copies():
    draw = np.random.default_rng(0)
    classes = np.repeat(np.arange(26), 12)
    letters = draw.integers(3, 12, (26, 16))[classes] + draw.normal(size=(len(classes), 16)) * 1.5
    assert near_copies(from_arrays(np.unique(letters.round().clip(0, 15), axis=0))) == []
    classes = np.repeat(np.arange(20), 6)
    tight = draw.normal(size=(20, 8))[classes] + 0.05 * draw.normal(size=(len(classes), 8))
    assert near_copies(from_arrays(tight, classes)) == []
    assert len(near_copies(from_arrays(tight, classes % 5))) == 20


def test_groups_in_several_roles_are_counted():
    labelled = grouped(from_arrays(TEXTS[:4], [0, 1, 0, 1]), ["p", "p", "q", None], "group")
    pool = grouped(from_arrays(TEXTS[4:8]), ["q", "q", "r", None], "group")
    found = remarks_on_groups({"labelled": labelled, "pool": pool}, "author")
    assert "4 labelled examples are in 3 groups by the column 'author', which is not a feature" in found[0]
    assert "2 pool examples are in 1 groups of labelled examples" in found[1]
    assert len(found) == 2


def test_distill_run_and_assess_tell_it(tmp_path, caplog):
    inputs, labels = noise()
    many, twice = np.tile(inputs[:NUM], (2, 1)), np.concatenate([labels, 1 - labels])
    result = accuracy_of(many, twice, method="fidelity")
    logged = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert logged == list(result.findings[:2])
    assert result.findings[2].startswith("The student has not learned")
    assert "30 contents have more than one label" in result.findings[0]
    write(tmp_path / "many.csv", many, y=np.where(twice, "yes", "no"))
    path = experiment(tmp_path, "many.csv")
    assessed = json.loads(command("assess", path, "--out", tmp_path / "assessed", "--json"))
    command("run", path, "--out", tmp_path / "run")
    for findings in (assessed["findings"], json.loads((tmp_path / "run/result.json").read_text())["findings"]):
        assert any("30 contents have more than one label, such as row 0 (" in each for each in findings)
        assert any("60 labelled examples have 30 different contents" in each for each in findings)


# --- reading


def test_the_column_of_groups_is_read_as_text_and_is_not_an_input(tmp_path):
    inputs, _ = noise()
    write(tmp_path / "x.csv", inputs[:4], patient=["01", "1", "", "01"], y=["u", "v", "u", "v"])
    source = Source(path=str(tmp_path / "x.csv"), label="y", group="patient")
    for found in (read(source, role="labelled"), read_on_disk(source, role="labelled", folder=tmp_path / "disk")):
        assert found.column_names == ["a", "b", "c"]
        assert found.group.to_pylist() == ["01", "1", None, "01"]
        assert repeats_in(found).group.tolist() == [0, 1, 2, 0]
        assert found.take(np.array([3, 0])).group.to_pylist() == ["01", "01"]


def test_a_group_that_is_no_column_is_refused(tmp_path):
    inputs, _ = noise()
    write(tmp_path / "x.csv", inputs[:4], y=["u", "v", "u", "v"])
    with pytest.raises(InputError, match=r"has no column 'patient' for `group`.*data.files.labelled"):
        read(Source(path=str(tmp_path / "x.csv"), label="y", group="patient"), role="labelled")


def test_groups_of_arrays():
    four = from_arrays(["w", "x", "y", "z"])
    assert repeats_in(grouped(four, np.array([1, 2, 1, 3]), "group")).group.tolist() == [0, 1, 0, 2]
    assert repeats_in(grouped(four, ["p", None, None, "p"], "group")).group.tolist() == [0, 1, 2, 0]


def test_validation_rows_that_are_labelled_too_are_left_out(tmp_path):
    inputs, labels = noise(60)
    write(tmp_path / "labelled.csv", inputs[:30], y=np.where(labels[:30], "yes", "no"))
    write(tmp_path / "validation.csv", inputs[20:60], y=np.where(labels[20:60], "yes", "no"))
    path = experiment(tmp_path, "labelled.csv")
    options = yaml.safe_load(path.read_text())
    options["data"]["files"]["validation"] = {"path": str(tmp_path / "validation.csv"), "label": "y"}
    drawn = read_roles(DataOptions(**options["data"]))
    assert len(drawn.for_seed(0).validation) == 30
    assert any("10 validation examples are labelled examples too" in each for each in drawn.remarks_for(0))
    options["data"]["files"]["validation"]["path"] = str(tmp_path / "labelled.csv")
    with pytest.raises(InputError, match="All 30 validation examples are labelled examples too"):
        read_roles(DataOptions(**options["data"])).for_seed(0)


def test_the_head_of_a_frozen_encoder_is_regularised_on_folds_without_copies():
    def folds_of(examples):
        found = _inner_folds(examples, 5, seed=0)
        return (
            None if found is None else [set(rows.tolist()) for _, rows in found.split(range(len(examples)), [0] * 12)]
        )

    twice = from_arrays(TEXTS[:6] * 2, [0, 1] * 6)
    assert all({row % 6 for row in fold} == {row % 6 for row in fold if row < 6} for fold in folds_of(twice))
    assert all(len(fold) == 2 * len({row % 6 for row in fold}) for fold in folds_of(twice))
    assert _inner_folds(grouped(twice, [0, 1] * 6, "group"), 5, seed=0) is None
