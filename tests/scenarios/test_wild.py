"""Students in the wild: a saved student teaches, most of the pool is foreign, and no label is at hand."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml
from sklearn.datasets import load_digits

from overproof.answers.predictions import compress
from overproof.api import distill, run
from overproof.commands.main import main
from overproof.data import Source, read
from overproof.errors import InputError
from overproof.evaluation.findings import RunFacts, accuracy_shift
from overproof.methods.noise_models import Noiseless, Published
from overproof.methods.published import method
from overproof.models import build, load_student
from overproof.runs.experiment import experiment_from, load
from overproof.runs.pipeline import open_run
from overproof.teachers import open_teacher
from overproof.training.checkpoint import Resume
from overproof.training.distillation import distilled
from overproof.training.examples import AnsweredExamples, TrainingData
from overproof.training.options import TrainOptions
from overproof.training.teacher_source import OnlineTeacher, StoredAnswers

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def write(path: Path, images: np.ndarray, label: np.ndarray, names: tuple[str, ...] = NAMES) -> dict[str, str]:
    np.savez(path, images=images, label=label, class_names=np.array(names))
    return {"path": str(path), "input": "images", "label": "label"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Digits: 600 for the teacher, a pool of 600 more among 600 foreign ones, 300 for the test, 120 with labels."""
    folder = tmp_path_factory.mktemp("digits")
    digits = load_digits()
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(digits.target))
    images, label = (digits.images[order] * 15).astype(np.uint8), digits.target[order]
    foreign = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (600, 8, 8)).astype(np.uint8)
    foreign[:300] = images[600:900].transpose(0, 2, 1)
    pool = np.concatenate([images[600:1200], foreign])
    return {
        "original": write(folder / "original.npz", images[:600], label[:600]),
        "pool": write(folder / "wild.npz", pool, np.concatenate([label[600:1200], np.full(600, -1)])),
        "test": write(folder / "test.npz", images[1200:1500], label[1200:1500]),
        "labelled": write(folder / "labelled.npz", images[1500:1620], label[1500:1620]),
    }


@pytest.fixture(scope="module")
def teacher(files, tmp_path_factory):
    """The folder of a saved student that was trained on the original digits."""
    content = {
        "data": {"files": {"labelled": files["original"], "test": files["test"]}, "rows": {"pool": 0}},
        "student": {"name": "mlp", "options": {"hidden": [64]}},
        "train": {"epochs": 30, "batch_size": 32},
        "teacher": {"model": "linear", "folds": 2, "train": {"epochs": 1}},
        "methods": ["labelled_only"],
        "seeds": [0],
    }
    folder = tmp_path_factory.mktemp("teacher") / "run"
    result = run(experiment_from(content), folder)
    assert next(row for row in result.rows if row.method == "labelled_only").metrics["accuracy"] > 0.9
    return folder / "students/seed-0/labelled_only"


@pytest.fixture
def content(files, teacher):
    """No label anywhere but in the test."""
    random = {"select": {"name": "random", "budget": 600}}
    return {
        "data": {
            "files": {role: files[role] for role in ("pool", "original", "test")},
            "rows": {"labelled": 0},
            "unknown_is_foreign": True,
        },
        "teacher": {"model": str(teacher), "published_accuracy": 0.95},
        "student": {"name": "linear"},
        "train": {"epochs": 2, "batch_size": 64},
        "methods": [
            {"method": "dfnd", "name": "top_q", "options": {"select.budget": 600}},
            {"method": "dfnd", "name": "top", "options": {"select.budget": 600, "pool.loss.diagonal": 1.0}},
            {"method": "dfnd", "name": "random_q", "options": random},
            {"method": "soft_tempered", "name": "original", "pool": "original"},
        ],
        "seeds": [0],
    }


def facts(folder: Path, row: str) -> dict:
    return json.loads((folder / "students/seed-0" / row / "row.json").read_text())


def test_a_data_free_run_from_end_to_end(content, tmp_path):
    result = run(experiment_from(content), tmp_path / "run")
    roles = {row.method: row.role for row in result.rows}
    assert roles == {
        "teacher": "reference",
        "original": "reference",
        "hard": "conventional",
        "soft": "conventional",
        "top_q": "method",
        "top": "method",
        "random_q": "method",
    }
    said = "\n".join(result.findings)
    assert "this run cannot give the teacher's accuracy with an interval" in said
    assert "The published accuracy 0.950 is taken as it is, unchecked." in said
    assert "Kept by top_q, top: 600 of 1200 pool examples; " in said
    assert "Kept by random_q: 600 of 1200 pool examples; " in said
    assert "top_q's matrix (pool.loss.transition) has 0.950 to 0.950 on its diagonal" in said
    assert "top's matrix" not in said
    assert "of the time" not in said  # no accuracy on labels that are not there

    learned = safetensors.torch.load_file(tmp_path / "run/students/seed-0/top_q/learned.safetensors")
    matrix = learned["pool.loss.transition"]
    torch.testing.assert_close(matrix.sum(1), torch.ones(10))
    torch.testing.assert_close(matrix.diagonal(), torch.full((10,), 0.95))
    assert matrix[~torch.eye(10, dtype=torch.bool)].std() > 0
    shown = facts(tmp_path / "run", "top_q")["learned"]["pool.loss.transition"]
    row, column, share = shown["largest"][0]
    assert share == pytest.approx(matrix[row, column].item(), abs=1e-4)
    assert share == pytest.approx(matrix.clone().fill_diagonal_(0).max().item(), abs=1e-4)


def test_what_a_selection_kept_is_counted(content, files, teacher, tmp_path):
    run(experiment_from(content), tmp_path / "run")
    pool = read(_source(files["pool"]), role="pool")
    probs = open_teacher(teacher, NAMES).probs(pool)
    counted = facts(tmp_path / "run", "top")["selection"]
    assert (counted["num_pool"], counted["num_kept"]) == (1200, 600)
    # The store keeps half precision, so ties at the edge may fall otherwise.
    kept = probs.max(1).values.topk(600).indices
    own = pool.label[kept] >= 0
    assert counted["in_domain"]["kept"] == pytest.approx(own.double().mean().item(), abs=0.02)
    assert counted["in_domain"]["pool"] == 0.5
    assert counted["in_domain"]["kept"] > 0.6
    assert facts(tmp_path / "run", "random_q")["selection"]["in_domain"]["kept"] == pytest.approx(0.5, abs=0.08)


def test_with_a_few_labels_the_diagonal_is_estimated_and_a_shift_is_said(content, files, tmp_path):
    content["data"]["files"]["labelled"] = files["labelled"]
    content["data"]["rows"] = {}
    content["methods"] = [{"method": "dfnd", "options": {"select.budget": 600}}]
    result = run(experiment_from(content), tmp_path / "run")
    found = facts(tmp_path / "run", "dfnd")
    right = found["teacher_accuracy"]
    assert 0.5 < right["low"] < right["mean"] < right["high"] < 1
    diagonal = found["learned"]["pool.loss.transition"]["diagonal"]
    assert len(set(diagonal)) == 1
    assert diagonal[0] == pytest.approx(np.mean(found["noise"]["accuracy_by_class"]), abs=1e-3)
    low, high = found["accuracy_by_class"]["low"], found["accuracy_by_class"]["high"]
    by_class = found["noise"]["accuracy_by_class"]
    # Four imaginary examples a class pull the estimate towards the mean, never out of the interval here.
    assert all(start <= each <= end for start, each, end in zip(low, by_class, high, strict=True))
    assert all(end - start > 0.1 for start, end in zip(low, high, strict=True))
    expected = found["selection"]["expected_accuracy"]
    assert expected["kept"] > expected["pool"]
    said = "\n".join(result.findings)
    assert "estimated on 120 labelled examples" in said
    assert "published accuracy 0.950 is" in said
    assert ("the teacher's accuracy shifted" in said) == (not right["low"] <= expected["kept"] <= right["high"])
    assert "cannot give" not in said


def test_a_shift_of_accuracy_is_said_only_beyond_the_interval():
    def said(kept):
        trainings = {
            ("dfnd", 0): {
                "teacher_accuracy": {"mean": 0.9, "low": 0.85, "high": 0.94},
                "selection": {
                    "num_pool": 10,
                    "num_kept": 5,
                    "expected_accuracy": {"pool": 0.7, "kept": kept, "labelled": 0.9},
                },
            }
        }
        return accuracy_shift.find(RunFacts(trainings=trainings))

    assert said(0.9) == said(0.93) == []
    assert "it is 97.0% there and 90.0% on the labelled examples" in said(0.97)[0]
    assert "it is 60.0% there" in said(0.6)[0]


def test_the_teacher_is_asked_once_and_then_nobody(content, tmp_path, monkeypatch):
    experiment = experiment_from({**content, "methods": ["dfnd"]})
    run(experiment, tmp_path / "run")
    before = {
        path: path.read_bytes()
        for path in (tmp_path / "run").rglob("*")
        if path.name not in ("log.txt", "costs.jsonl") and path.is_file()
    }

    def refuse(*arguments, **options):
        raise AssertionError("asked twice")

    monkeypatch.setattr("overproof.teachers.brought.saved_student.SavedTeacher.probs", refuse)
    run(experiment, tmp_path / "run")
    assert {path: path.read_bytes() for path in before} == before


def test_online_answers_are_the_stored_ones_without_augmentation_and_others_with_it(content, tmp_path):
    content["methods"] = [
        {"method": "dfnd", "name": "stored", "options": {"select.budget": 600}},
        {
            "method": "dfnd",
            "name": "online",
            "options": {"select.budget": 600},
            "train": {"teacher_answers": "online"},
        },
        {
            "method": "dfnd",
            "name": "augmented",
            "options": {"select.budget": 600},
            "train": {"teacher_answers": "online", "augmentation": "crop", "padding": 1},
        },
        {
            "method": "dfnd",
            "name": "augmented_stored",
            "options": {"select.budget": 600},
            "train": {"augmentation": "crop", "padding": 1},
        },
    ]
    run(experiment_from(content), tmp_path / "run")
    losses = {
        row: [record["loss"] for record in facts(tmp_path / "run", row)["history"]]
        for row in ("stored", "online", "augmented", "augmented_stored")
    }
    # Stored answers are kept in half precision.
    assert losses["online"] == pytest.approx(losses["stored"], rel=2e-2)
    assert losses["online"] != losses["stored"]
    assert losses["augmented"] != pytest.approx(losses["augmented_stored"], rel=5e-2)


def test_the_online_teacher_is_asked_without_gradient_and_in_evaluation_mode():
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.9), torch.nn.Linear(4, 3))
    module.train()
    images = torch.randn(5, 1, 2, 2)
    order = torch.tensor([2, 0, 1])
    probs = OnlineTeacher(module=module, order=order).probs(torch.zeros(5, 3), images)
    assert not probs.requires_grad
    torch.testing.assert_close(probs, module[2](images.flatten(1)).softmax(1)[:, order].detach())
    stored = torch.rand(5, 3)
    assert StoredAnswers().probs(stored, images) is stored


def test_a_teacher_with_its_classes_in_another_order_is_matched_by_name(teacher, files):
    order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
    test = read(_source(files["test"]), role="test")
    straight = open_teacher(teacher, load_student(teacher).class_names).probs(test)
    names = [load_student(teacher).class_names[index] for index in order]
    torch.testing.assert_close(open_teacher(teacher, names).probs(test), straight[:, order])


def test_what_is_wrong_with_a_saved_teacher_is_one_sentence(teacher, content, tmp_path):
    with pytest.raises(InputError, match=r"holds no saved student \(no student.json in it\)"):
        open_teacher(tmp_path, NAMES)
    with pytest.raises(InputError, match="missing classes 'ten'"):
        open_teacher(teacher, (*NAMES, "ten"))
    with pytest.raises(InputError, match="extra classes 'nine'"):
        open_teacher(teacher, NAMES[:9])
    # The answers of another teacher in the folder of a run.
    experiment = experiment_from({**content, "methods": ["soft"]})
    run(experiment, tmp_path / "run")
    student = load_student(teacher).fresh(seed=7)
    student.save(tmp_path / "other")
    text = (tmp_path / "run/experiment.yaml").read_text().replace(str(teacher), str(tmp_path / "other"))
    (tmp_path / "run/experiment.yaml").write_text(text)
    with pytest.raises(InputError, match=r"experiment.yaml is not as the run wrote it"):
        open_run(tmp_path / "run").label()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["teacher.published_accuracy=1.2"], "published_accuracy' is 1.2; the share of its answers"),
        (["teacher.published_accuracy=0"], "must be in (0, 1]"),
        (["teacher.published_accuracy=null"], "'top_q' needs the accuracy of the teacher"),
        (["methods=[wd]"], "Row 'wd' needs labelled examples, and 'data.rows.labelled' is 0"),
        (["methods=[labelled_only]"], "'data.rows.labelled' is 0"),
        (["teacher.model=nowhere/student"], "there is nothing of that name"),
        (["teacher.model=cnn"], "no teacher can be trained here"),
        (
            ["teacher.model=answers", "teacher.answers=[a.parquet]", "train.teacher_answers=online"],
            "can predict anew; name its folder",
        ),
        (
            ["data.rows.original=100", "data.files={pool: {path: a.npz}, test: {path: a.npz}}"],
            "'data.files' has no file.",
        ),
        (["data.files={pool: {path: a.npz}, test: {path: a.npz}}"], "no such file"),
        (["methods=[{method: dfnd, options: {select.budget: 5000}}]"], "5000"),
        (["methods=[{method: dfnd, options: {pool.loss.diagonal: 2.0}}]"], "(0, 1]"),
        (["methods=[{method: dfnd, options: {pool.loss.diagonal: [0.9, 0.9]}}]"], "holds 2 numbers"),
        (["train.early_stop_epochs=2"], "stops early on held-out labelled examples"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_exit_code_2(content, tmp_path, capsys, changes, words):
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    options = [word for change in changes for word in ("--set", change)]
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(tmp_path / "e.yaml"), "--out", str(tmp_path / "run"), *options])
    said = capsys.readouterr().err.strip()
    # The estimate of a run that was begun may stand before it, over the width of the terminal.
    *_, said = said.rpartition("overproof: ")
    assert stopped.value.code == 2
    assert words in said
    assert "\n" not in said
    assert said.endswith(".")


def test_a_published_accuracy_is_a_noise_estimate():
    estimate = Published(accuracy=0.7).fit(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    torch.testing.assert_close(estimate.transition.diagonal(), torch.full((4,), 0.7))
    torch.testing.assert_close(estimate.transition.sum(1), torch.ones(4))
    assert estimate.accuracy([0.0, 0.5, 1.0]).tolist() == pytest.approx([0.7] * 3)
    assert estimate.num_examples == 0
    sure, word = Published(accuracy=1.0), Noiseless()
    empty = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
    assert torch.equal(sure.fit(*empty).transition, word.fit(*empty).transition)
    with pytest.raises(InputError, match=r"'accuracy' of Published is 0\.0; it must be a number in \(0, 1\]"):
        Published(accuracy=0.0)


def test_nobody_to_be_asked_online_is_refused():
    inputs = torch.zeros(4, 3)
    student = build("linear", [_table(inputs)], class_names=("a", "b"), seed=0)
    with pytest.raises(InputError, match="no teacher is given that can be evaluated"):
        distilled(
            student,
            pool_alone(student.encode(_table(inputs)), torch.full((4, 2), 0.5)),
            method=method("soft"),
            options=TrainOptions(teacher_answers="online"),
            seed=0,
        )


@pytest.mark.parametrize("kill_after", [1])
def test_the_matrix_resumes_from_a_checkpoint_bit_for_bit(tmp_path, kill_after):
    inputs = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    probs = torch.randn(300, 4, generator=torch.Generator().manual_seed(1)).softmax(1)

    def trained(folder, epochs_seen):
        student = build("linear", [_table(inputs)], class_names="abcd", seed=0)

        def stop(record):
            if record.epoch == epochs_seen:
                raise KeyboardInterrupt

        return distilled(
            student,
            pool_alone(student.encode(_table(inputs)), probs),
            method=experiment_method(),
            options=TrainOptions(epochs=3, batch_size=32, checkpoint_seconds=0),
            seed=0,
            resume=Resume(checkpoint=folder / "checkpoint.pt", observe=stop),
        )

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = trained(tmp_path / "whole", None)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", kill_after)
    resumed = trained(tmp_path / "killed", None)
    for name in ("diagonal", "scores"):
        assert torch.equal(whole.memories["pool.loss"][name], resumed.memories["pool.loss"][name])
    assert whole.memories["pool.loss"]["scores"].abs().max() > 0
    assert [record.loss for record in whole.history] == [record.loss for record in resumed.history]


def experiment_method():
    from dataclasses import replace

    return replace(method("dfnd"), noise=Published(accuracy=0.8))


def pool_alone(inputs, probs) -> TrainingData:
    """A pool and no labelled examples."""
    pool = AnsweredExamples(
        place=torch.arange(len(probs)), label=torch.full((len(probs),), -1), answers=compress(probs)
    )
    return TrainingData(inputs=inputs, labelled=pool.take(torch.arange(0)), pool=pool)


def _table(values):
    from overproof.data import from_arrays

    return from_arrays(values)


def _source(options: dict[str, str]) -> Source:
    return Source(**options)


@pytest.mark.parametrize("num_pool", [64, 300])
def test_students_of_small_and_large_pools_see_as_many_examples(num_pool):
    inputs = torch.randn(num_pool, 3, generator=torch.Generator().manual_seed(0))
    student = build("linear", [_table(inputs)], class_names="ab", seed=0)
    seen = []
    student.module.register_forward_hook(lambda module, given, answer: seen.append(len(given[0])))
    distilled(
        student,
        pool_alone(student.encode(_table(inputs)), torch.full((num_pool, 2), 0.5)),
        method=method("soft"),
        options=TrainOptions(epochs=3, batch_size=32),
        seed=0,
        examples_per_epoch=128,
    )
    assert sum(seen) == 3 * 128


@pytest.mark.parametrize("name", ["fashion", "animals", "cifar10"])
def test_the_recipes_in_the_wild_are_experiments(name):
    path = Path(__file__).parents[2] / f"recipes/wild_{name}.yaml"
    with pytest.raises(InputError, match="needs the accuracy of the teacher"):
        load(path)
    experiment = load(path, ["teacher.published_accuracy=0.9"])
    cells = {each.row: experiment.method_of(each) for each in experiment.rows()}
    assert {"top_q", "top", "random_q", "random", "original", "hard", "soft"} <= set(cells)
    for row, rule, diagonal in (
        ("top_q", "confident", "estimated"),
        ("top", "confident", 1.0),
        ("random_q", "random", "estimated"),
        ("random", "random", 1.0),
    ):
        assert type(cells[row].select).__name__.lower() == rule
        assert cells[row].pool.loss.diagonal == diagonal
        assert cells[row].select.budget == cells["top_q"].select.budget
    assert len(experiment.seeds) >= 3


def test_a_module_of_your_own_is_asked_online():
    images = torch.randint(0, 256, (60, 1, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    asked = []

    class Bright(torch.nn.Module):
        def forward(self, given):
            asked.append(given)
            mean = given.float().mean(dim=(1, 2, 3)) - 127
            return torch.stack([mean, -mean], dim=1)

    probs = Bright()(images).softmax(1)
    asked.clear()
    distill(
        "linear",
        images[20:],
        probs[20:],
        images[:20],
        torch.arange(20) % 2,
        probs[:20],
        method="soft",
        teacher=Bright(),
        train=TrainOptions(epochs=2, batch_size=20, teacher_answers="online", augmentation="crop", padding=1),
    )
    assert asked
    assert all(given.dtype == torch.uint8 for given in asked)
    seen = torch.cat(asked).flatten(1)
    whole = images.flatten(1)
    # Crops let zeros in: most of what it was asked about is none of the images as they are.
    assert (seen.unsqueeze(1) == whole).all(2).any(1).double().mean() < 0.5
