"""Runs on corrupted given labels: who sees which, a teacher of the student's own kind, rows, resume, refusals."""

import json

import pyarrow.csv
import pytest
import torch

from overproof.api import run
from overproof.errors import InputError
from overproof.models import load_student
from overproof.progress import Silent
from overproof.runs.caches import Caches
from overproof.runs.experiment import experiment_from
from overproof.runs.given_labels import GivenLabels
from overproof.runs.read_roles import read_roles
from overproof.runs.scorer_answers import ScorerAnswers
from overproof.runs.teacher_answers import TeacherAnswers
from overproof.synthetic import blobs
from overproof.synthetic.label_options import LabelNoise
from overproof.training import distillation


@pytest.fixture
def content(tmp_path):
    world = blobs(num_examples=400, num_classes=3, seed=0)
    columns = {f"x{i}": column.tolist() for i, column in enumerate(world.inputs.T)}
    columns["colour"] = [("red", "green", "blue")[label] for label in world.label.tolist()]
    columns["key"] = [f"row-{i}" for i in range(400)]
    pyarrow.csv.write_csv(pyarrow.table(columns), tmp_path / "blobs.csv")
    return {
        "data": {
            "files": {"all": {"path": str(tmp_path / "blobs.csv"), "label": "colour", "id": "key"}},
            "rows": {"labelled": 120, "validation": 80, "pool": 0, "test": 100},
            "label_noise": {"kind": "symmetric", "share": 0.3},
        },
        "teacher": {"model": "student", "folds": 1},
        "student": {"name": "mlp", "options": {"hidden": [16]}},
        "train": {"epochs": 4, "batch_size": 32},
        "methods": ["self_distilled"],
        "seeds": [0],
    }


FEW = {"labelled.target.search.candidates": [0.0, 1.0, 2.0], "labelled.target.search.halvings": 0}
"""Few tries, for speed."""


def given_labels(content, folder):
    experiment = experiment_from(content)
    roles = read_roles(experiment.data)
    return GivenLabels(
        scorers=ScorerAnswers(experiment=experiment, roles=roles, folder=folder, progress=Silent(), caches=Caches())
    )


def teacher_answers(content, folder):
    given = given_labels(content, folder)
    return TeacherAnswers(scorers=given.scorers, given=given)


NOISES = {
    "symmetric": {"kind": "symmetric", "share": 0.3},
    "asymmetric": {"kind": "asymmetric", "share": 0.5, "class_map": {"red": "blue"}},
    "hierarchical": {"kind": "hierarchical", "share": 0.5, "groups": [["red", "blue"], ["green"]]},
    "adversarial": {"kind": "adversarial", "share": 0.3},
}


@pytest.mark.parametrize("kind", NOISES)
def test_the_labelled_and_validation_labels_are_corrupted_and_no_others(content, tmp_path, kind):
    content["data"]["label_noise"] = NOISES[kind]
    noisy = given_labels(content, tmp_path / "run")
    clean, given, truth = noisy.scorers.roles.for_seed(0), noisy.for_seed(0), noisy.truth(0)
    assert torch.equal(given.test.label, clean.test.label)
    assert torch.equal(truth["labelled"], clean.labelled.label)
    names = noisy.scorers.roles.class_names
    for role in ("labelled", "validation"):
        before, after = getattr(clean, role).label, getattr(given, role).label
        able = torch.ones_like(before, dtype=torch.bool)
        if kind == "asymmetric":
            able = before == names.index("red")
            assert (after[before != after] == names.index("blue")).all()
        if kind == "hierarchical":
            able = before != names.index("green")
            assert (after[before == names.index("green")] == names.index("green")).all()
        assert (before != after).sum() == round(NOISES[kind]["share"] * int(able.sum()))
    again, other = (given_labels(content, tmp_path / "run").for_seed(seed) for seed in (0, 1))
    assert torch.equal(again.labelled.label, given.labelled.label)
    assert (other.labelled.ids != given.labelled.ids).any()


def test_the_adversary_names_what_a_model_of_the_true_labels_finds_likeliest(content, tmp_path):
    content["data"]["label_noise"] = {"kind": "adversarial", "share": 1.0}
    content["teacher"] = {"model": "sklearn.linear_model:LogisticRegression", "folds": 2}
    noisy = given_labels(content, tmp_path / "run")
    clean, given = noisy.scorers.roles.for_seed(0), noisy.for_seed(0)
    assert (clean.labelled.label != given.labelled.label).all()
    # A circle of three classes: the likeliest wrong class is that of the nearer of the two other means.
    points = torch.tensor([clean.labelled.inputs[name].to_pylist() for name in ("x0", "x1")]).T
    means = torch.stack([points[clean.labelled.label == c].mean(0) for c in range(3)])
    distance = torch.cdist(points, means).scatter(1, clean.labelled.label.unsqueeze(1), torch.inf)
    assert (distance.argmin(1) == given.labelled.label).float().mean() > 0.85


def test_a_run_on_noisy_labels_holds_the_rows_that_tell_something(content, tmp_path):
    content["methods"] = [
        {"method": "self_distilled", "options": FEW},
        {"method": "self_distilled", "name": "two", "options": {"labelled.target.imitation": 2.0}},
        {"method": "born_again", "name": "thrice", "options": {"generations": 3}},
        "consensus",
        "partial_label",
    ]
    result = run(experiment_from(content), tmp_path / "run")
    roles = {row.method: row.role for row in result.rows}
    assert roles == {
        "teacher": "reference", "oracle": "reference", "labelled_only": "conventional", "born_again": "conventional",
        "self_distilled": "method", "two": "method", "thrice": "method", "consensus": "method",
        "partial_label": "method",
    }  # fmt: skip
    written = json.loads((tmp_path / "run/result.json").read_text())
    facts = {each["method"]: each for each in written["students"]}
    assert all(each["given_labels_wrong"] == pytest.approx(0.3) for each in facts.values())
    (choice,) = facts["self_distilled"]["imitation"]
    assert choice["imitation"] in [imitation for imitation, _ in choice["tried"]]
    assert "imitation" not in facts["two"]
    assert any("30.0% of the given labels are wrong" in finding for finding in result.findings)
    assert any("chosen on held-out labels, seed by seed" in finding for finding in result.findings)
    assert not list((tmp_path / "run").rglob("checkpoint*"))
    verdicts = {each["method"]: each["verdict"] for each in written["summary"]}
    assert verdicts["labelled_only"] is None
    assert verdicts["two"] is not None


def test_the_oracle_is_the_student_of_the_true_labels(content, tmp_path):
    content["methods"] = ["born_again"]
    run(experiment_from(content), tmp_path / "noisy")
    content["data"].pop("label_noise")
    run(experiment_from(content), tmp_path / "clean")
    oracle, clean, fitted = (
        (tmp_path / folder / "students/seed-0" / row / "student.safetensors").read_bytes()
        for folder, row in (("noisy", "oracle"), ("clean", "labelled_only"), ("noisy", "labelled_only"))
    )
    assert oracle == clean
    assert oracle != fitted


def test_the_teacher_is_of_the_students_kind_and_answers_in_sample(content, tmp_path):
    one = teacher_answers(content, tmp_path / "run")
    answers, labelled = one.for_seed(0)["labelled"], one.given.for_seed(0).labelled
    teacher = load_student(tmp_path / "run/labels/seed-0/fold-0")
    assert (teacher.spec.name, teacher.spec.options["hidden"]) == ("mlp", [16])
    assert torch.equal(answers.probs(), answers.with_probs(teacher.probs(labelled)).probs())
    assert all(torch.equal(value, teacher.module.state_dict()[name]) for name, value in one.network_weights(0).items())
    content["teacher"]["folds"] = 3
    several = teacher_answers(content, tmp_path / "three").for_seed(0)["labelled"]
    assert not torch.equal(answers.probs(), several.probs())


def test_same_seed_same_bytes_and_a_killed_search_goes_on(content, tmp_path, monkeypatch):
    content["methods"] = [{"method": "self_distilled", "options": FEW}]
    run(experiment_from(content), tmp_path / "whole")
    train, calls = distillation.train, []

    def dies(*arguments, **options):
        calls.append(options["method"])
        if len(calls) == 5:
            raise KeyboardInterrupt
        return train(*arguments, **options)

    monkeypatch.setattr(distillation, "train", dies)
    with pytest.raises(KeyboardInterrupt):
        run(experiment_from(content), tmp_path / "killed")
    assert (tmp_path / "killed/students/seed-0/self_distilled/checkpoint/notes.json").exists()
    run(experiment_from(content), tmp_path / "killed")
    kept = [
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "killed", tmp_path / "whole")
    ]
    for files in kept:
        files.pop("log.txt"), files.pop("costs.jsonl")
    assert kept[0] == kept[1]


def test_labels_the_teacher_has_seen_are_labels(content, tmp_path):
    content["data"]["rows"].pop("validation")
    content["methods"] = ["born_again"]
    result = run(experiment_from(content), tmp_path / "run")
    # Its accuracy cannot be stated, but nobody is told that there are no labels.
    assert not any("Out of sample" in finding for finding in result.findings)
    assert not any("no labelled examples" in finding for finding in result.findings)


def test_cross_fitted_answers_are_the_alternative(content, tmp_path):
    content["teacher"] = {"model": "student", "folds": 3}
    content["data"]["rows"].pop("validation")
    content["methods"] = [{"method": "self_distilled", "options": FEW}]
    result = run(experiment_from(content), tmp_path / "run")
    students = json.loads((tmp_path / "run/result.json").read_text())["students"]
    (found,) = (each for each in students if each["method"] == "self_distilled")
    assert found["num_labelled"] == 120
    assert len(found["imitation"][0]["tried"]) >= 3
    assert any("Out of sample" in finding for finding in result.findings)


def test_a_brought_file_is_the_adversary_too(content, tmp_path):
    table = pyarrow.csv.read_csv(tmp_path / "blobs.csv")
    colours = table["colour"].to_pylist()
    wrong = {"red": "green", "green": "blue", "blue": "red"}
    columns = {"id": table["key"].to_pylist()}
    for name in wrong:
        columns[name] = [0.7 if colour == name else 0.2 if wrong[colour] == name else 0.1 for colour in colours]
    pyarrow.csv.write_csv(pyarrow.table(columns), tmp_path / "answers.csv")
    content["teacher"] = {"answers": [str(tmp_path / "answers.csv")]}
    content["data"]["label_noise"] = {"kind": "adversarial", "share": 1.0}
    noisy = given_labels(content, tmp_path / "run")
    names = noisy.scorers.roles.class_names
    before = noisy.scorers.roles.for_seed(0).labelled.label.tolist()
    after = noisy.for_seed(0).labelled.label.tolist()
    assert [wrong[names[each]] for each in before] == [names[each] for each in after]


BAD = {
    "a share without a kind": ({"data.label_noise.kind": "none"}, "kind' is 'none'"),
    "a share that is none": ({"data.label_noise.share": 1.5}, "data.label_noise.share"),
    "an unknown kind": ({"data.label_noise.kind": "random"}, "data.label_noise.kind"),
    "no class map": ({"data.label_noise.kind": "asymmetric"}, "'data.label_noise.class_map' is required for kind"),
    "groups for another kind": (
        {"data.label_noise.groups": [["red"]]},
        "'data.label_noise.groups' is required for kind",
    ),
    "an unknown class": (
        {"data.label_noise": {"kind": "asymmetric", "share": 0.5, "class_map": {"red": "bleu"}}},
        "no class 'bleu'; did you mean 'blue'",
    ),
    "the test's labels": ({"data.label_noise.roles": ["test"]}, "data.label_noise.roles"),
    "no weight decay": (
        {"train.weight_decay": 0.0},
        "'train.weight_decay' is 0, but the method's target may have negative entries",
    ),
    "no labels to choose on": ({"data.rows.validation": None}, "chosen on labels that the teacher was not trained on"),
    "a loss that is not linear": (
        {"methods": [{"method": "self_distilled", "options": {"labelled.loss": "tempered_divergence"}}]},
        "TemperedDivergence is not",
    ),
    "errors of a teacher that has seen the labels": (
        {"data.rows.validation": None, "methods": ["fidelity"]},
        "The teacher was trained on the labelled examples",
    ),
    "a start from several teachers": ({"teacher.folds": 3, "methods": ["partial_label"]}, "teacher.folds 1; they are"),
    "a teacher with options of its own": ({"teacher.options": {"hidden": [3]}}, "leave 'teacher.options'"),
    "no generations": ({"methods": [{"method": "born_again", "options": {"generations": 0}}]}, "'generations' is 0"),
    "no folds": ({"teacher.folds": 0}, "'teacher.folds' is 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_one_sentence_and_nothing_is_written(content, tmp_path, case):
    changes, words = BAD[case]
    for path, value in changes.items():
        node = content
        *groups, last = path.split(".")
        for group in groups:
            node = node[group]
        if value is None:
            node.pop(last)
        else:
            node[last] = value
    with pytest.raises(InputError) as error:
        run(experiment_from(content), tmp_path / "run")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")
    assert not (tmp_path / "run").exists()


def test_no_noise_is_a_value():
    assert not LabelNoise().corrupts("labelled")
    assert LabelNoise(kind="symmetric", share=0.1).corrupts("labelled")
    assert not LabelNoise(kind="symmetric", share=0.1, roles=("labelled",)).corrupts("validation")
