"""One student from answers: the command line and Python train the same one, and a kill changes no byte."""

import pyarrow as pa
import pyarrow.csv
import pytest
import torch

from overproof import TrainOptions, distill, run, self_distill
from overproof.errors import InputError
from overproof.runs.experiment import experiment_from
from overproof.training import loop
from overproof.training.examples import AnsweredExamples, TrainingData
from overproof.training.one_student import train_on_labels
from overproof.training.options import TeacherTraining

NAMES = ("bad", "fine", "good")
SIZES = {"labelled": 60, "validation": 40, "pool": 200, "test": 50}
TRAIN = {"epochs": 2, "batch_size": 32}


def texts(num: int, seed: int) -> tuple[list[str], torch.Tensor, torch.Tensor]:
    """Texts, their labels, and a teacher's probabilities in sixty-fourths, which a file keeps to the last bit."""
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(3, (num,), generator=g)
    words = torch.randint(30, (num, 9), generator=g) + 15 * label.unsqueeze(1)
    likely = torch.where(torch.rand(num, generator=g) < 0.2, torch.randint(3, (num,), generator=g), label)
    top = torch.randint(30, 60, (num,), generator=g)
    probs = ((64 - top) / 2).unsqueeze(1).repeat(1, 3)
    probs[torch.arange(num), likely] = top.float()
    return [" ".join(f"w{word}" for word in row) for row in words.tolist()], label, probs / 64


@pytest.fixture(scope="module")
def parts():
    return {role: texts(num, seed) for seed, (role, num) in enumerate(SIZES.items())}


def content(folder, parts, roles, **changes):
    """An experiment on files of texts, whose teacher is a file of answers."""
    files, answers = {}, []
    for role in roles:
        sentences, label, probs = parts[role]
        ids = [f"{role}-{row}" for row in range(len(sentences))]
        columns = {"id": ids, "text": sentences, "class": [NAMES[each] for each in label.tolist()]}
        pa.csv.write_csv(pa.table(columns), folder / f"{role}.csv")
        files[role] = {"path": str(folder / f"{role}.csv"), "input": "text", "label": "class", "id": "id"}
        answers.append(pa.table({"id": ids, **{name: probs[:, k].tolist() for k, name in enumerate(NAMES)}}))
    pa.csv.write_csv(pa.concat_tables(answers), folder / "answers.csv")
    return {
        "data": {"files": files},
        "teacher": {"answers": [str(folder / "answers.csv")]},
        "student": {"name": "ngram", "options": {"buckets": 512}},
        "train": TRAIN,
        "seeds": [3],
        **changes,
    }


def check_same_student(result, folder, run_folder, row) -> None:
    result.student.save(folder)
    trained = run_folder / "students/seed-3" / row / "student.safetensors"
    assert (folder / "student.safetensors").read_bytes() == trained.read_bytes()


@pytest.mark.parametrize(("method", "rounds"), [("soft", 0), ("slam", 0), ("wd", 0), ("slam", 1)])
def test_distill_and_run_train_the_same_student(parts, tmp_path, method, rounds):
    row = {"method": method, "name": "row", **({"rounds": {"most": rounds, "workers": 1}} if rounds else {})}
    whole = content(tmp_path, parts, ("labelled", "pool", "test"), methods=[row])
    run(experiment_from(whole), tmp_path / "run")
    (labelled, label, labelled_probs), (pool, _, pool_probs) = parts["labelled"], parts["pool"]
    result = distill(
        students_spec(), pool, pool_probs, labelled, label, labelled_probs,
        method=method, class_names=NAMES, train=TrainOptions(**TRAIN), seed=3, rounds=rounds,
    )  # fmt: skip
    check_same_student(result, tmp_path / "own", tmp_path / "run", "row")
    assert len(result.rounds.get("records", ())) == rounds + bool(rounds)


@pytest.mark.parametrize("method", ["born_again", "self_distilled", "partial_label"])
def test_self_distill_and_run_train_the_same_student(parts, tmp_path, method):
    whole = content(tmp_path, parts, ("labelled", "validation", "test"), methods=[method])
    whole["teacher"], whole["data"]["rows"] = {"model": "student", "folds": 1}, {"pool": 0}
    run(experiment_from(whole), tmp_path / "run")
    (labelled, label, _), (held_out, held_out_label, _) = parts["labelled"], parts["validation"]
    result = self_distill(
        students_spec(), labelled, label, held_out=held_out, held_out_labels=held_out_label,
        method=method, class_names=NAMES, train=TrainOptions(**TRAIN), seed=3,
    )  # fmt: skip
    check_same_student(result, tmp_path / "own", tmp_path / "run", method)


def students_spec():
    from overproof.models import ModelSpec

    return ModelSpec(name="ngram", options={"buckets": 512})


@pytest.mark.parametrize("dies_at", [1, 5, 9])
def test_killed_at_any_epoch_a_run_ends_in_the_same_bytes(parts, tmp_path, monkeypatch, dies_at):
    options = {**TRAIN, "checkpoint_seconds": 0.0}
    whole = content(tmp_path, parts, ("labelled", "pool", "test"), methods=["hard", "slam", "wd"], train=options)
    run(experiment_from(whole), tmp_path / "whole")
    close, count = loop._close_epoch, []

    def dying(*arguments):
        count.append(0)
        if len(count) == dies_at:
            raise KeyboardInterrupt
        return close(*arguments)

    monkeypatch.setattr(loop, "_close_epoch", dying)
    with pytest.raises(KeyboardInterrupt):
        run(experiment_from(whole), tmp_path / "killed")
    run(experiment_from(whole), tmp_path / "killed")
    kept = [
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "killed", tmp_path / "whole")
    ]
    for files in kept:
        files.pop("log.txt"), files.pop("costs.jsonl")
    assert kept[0] == kept[1]
    assert sum(name.endswith("row.json") for name in kept[0]) == 6


def test_a_training_leaves_the_global_random_state_as_it_was(parts):
    sentences, label, _ = parts["labelled"]
    from overproof.data import from_arrays
    from overproof.models import build

    examples = from_arrays(sentences, label, class_names=NAMES)
    student = build(students_spec(), [examples], class_names=NAMES, seed=0)
    before = torch.get_rng_state()
    train_on_labels(student, student.encode(examples), label, options=TrainOptions(**TRAIN), seed=0, checkpoint=None)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_a_teacher_is_trained_with_the_loss_that_is_asked_for(loss):
    from overproof.data import from_arrays
    from overproof.functional import soft_cross_entropy, squared_error
    from overproof.models import ModelSpec, build

    examples = from_arrays(torch.eye(3).repeat(4, 1).numpy(), torch.arange(12) % 3, class_names=NAMES)
    student = build(ModelSpec(name="linear"), [examples], class_names=NAMES, seed=0)
    truth, formula = torch.eye(3).repeat(4, 1), {"cross_entropy": soft_cross_entropy, "mse": squared_error}[loss]
    expected = formula(student.probs(examples).log(), truth).mean().item()
    # One step with all examples in its batch: its loss is that of the student as it was built.
    options = TeacherTraining(epochs=1, batch_size=12, loss=loss)
    result = train_on_labels(
        student, student.encode(examples), examples.label, options=options, seed=0, checkpoint=None
    )
    assert result.history[0].loss == pytest.approx(expected, rel=1e-5)


def test_the_papers_of_a_teacher_with_squared_error_are_cited():
    files = {"labelled": {"path": "a.csv", "input": "x", "label": "y"}, "pool": {"path": "b.csv", "input": "x"}}
    given = {"data": {"files": files}, "methods": ["hard"]}
    plain = experiment_from({**given, "teacher": {"model": "mlp"}})
    squared = experiment_from({**given, "teacher": {"model": "mlp", "train": {"loss": "mse"}}})
    assert [each.arxiv for each in squared.papers() if each not in plain.papers()] == ["2407.18041"]


def two_students_and_data():
    from overproof.answers.predictions import compress
    from overproof.data import from_arrays
    from overproof.models import Dense, ModelSpec, build

    examples = from_arrays(torch.eye(3).repeat(20, 1).numpy())
    students = [build(ModelSpec(name="linear"), [examples], class_names=("a", "b", "c"), seed=s) for s in (0, 1)]
    probs = torch.eye(3).repeat(20, 1) * 0.7 + 0.1
    some = AnsweredExamples(place=torch.arange(60), label=torch.arange(60) % 3, answers=compress(probs))
    data = TrainingData(inputs=Dense(values=torch.eye(3).repeat(20, 1)), labelled=some, pool=some)
    return students, data


@pytest.mark.parametrize("generations", [1, 2])
def test_the_student_that_is_returned_is_the_one_that_was_trained(generations):
    from overproof.methods.composition import override
    from overproof.methods.published import method
    from overproof.training.distillation import distilled

    (student, _), data = two_students_and_data()
    before = {name: value.clone() for name, value in student.module.state_dict().items()}
    chosen = override(method("hard"), "generations", generations)
    done = distilled(student, data, method=chosen, options=TrainOptions(epochs=2), seed=0)
    assert done.student is student
    assert not any(torch.equal(before[name], value) for name, value in student.module.state_dict().items())


def test_the_content_of_a_training_has_the_first_weights_in_it():
    from overproof.training.checkpoint import NOT_RESUMED
    from overproof.training.distillation import content_of

    (first, second), data = two_students_and_data()
    assert content_of(first, data, NOT_RESUMED) == content_of(first, data, NOT_RESUMED)
    assert content_of(first, data, NOT_RESUMED) != content_of(second, data, NOT_RESUMED)


def test_data_by_role_and_back(parts):
    from overproof.answers.predictions import compress
    from overproof.models import Dense

    _, label, probs = parts["labelled"]
    some = AnsweredExamples(place=torch.arange(60), label=label, answers=compress(probs))
    data = TrainingData(inputs=Dense(values=torch.zeros(60, 1)), labelled=some, pool=some.take(torch.arange(5)))
    assert list(data.by_role) == ["labelled", "pool"]
    both = data.with_roles({**data.by_role, "validation": some})
    assert both.validation is some
    assert [len(each) for each in both.out_of_sample] == [60, 60]
    assert [len(each) for each in data.out_of_sample] == [60]


def test_a_method_that_these_labels_or_options_cannot_train_is_refused_before_a_step(parts, monkeypatch):
    """By `distill` itself: a run checks its experiment before it."""
    monkeypatch.setattr(loop, "train", lambda *given, **more: pytest.fail("a step was made"))
    sentences, label, probs = parts["pool"]
    given = ("ngram", sentences[60:], probs[60:], sentences[:60], label[:60], probs[:60])
    for name, changed, words in (
        ("prediction_powered", {"weight_decay": 0}, r"'train.weight_decay' is 0, but the method's target may have neg"),
        ("hard", {"teacher_answers": "online"}, "'online', but no teacher is given that can be evaluated"),
    ):
        with pytest.raises(InputError, match=words):
            distill(*given, method=name, train=TrainOptions(epochs=1, **changed))
