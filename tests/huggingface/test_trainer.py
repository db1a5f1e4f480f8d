"""A method in the Trainer has the loss and the gradient of our own loop, and answers are joined by id or refused."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from overproof.answers.predictions import compress  # noqa: E402
from overproof.errors import InputError  # noqa: E402
from overproof.huggingface import distillation_of  # noqa: E402
from overproof.huggingface.rows import CodedRows  # noqa: E402
from overproof.methods.published import method as method_by_name  # noqa: E402
from overproof.models import Dense  # noqa: E402
from overproof.synthetic import blobs  # noqa: E402
from overproof.training.distillation import estimated_noise  # noqa: E402
from overproof.training.examples import AnsweredExamples, LoopData, TrainingData  # noqa: E402
from overproof.training.loop import train  # noqa: E402
from overproof.training.options import TrainOptions  # noqa: E402

NAMES = ["cat", "dog", "eel"]
NUM, NUM_LABELLED = 96, 36
TINY = 1e-12
"""A learning rate that changes no weight."""


class Model(nn.Module):
    """A linear model that answers as those of transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(2, 3)
        # Right on most rows: weights of WD are below one where the teacher is wrong and the student is not.
        angle = 2 * torch.pi * torch.arange(3) / 3
        with torch.no_grad():
            self.head.weight.copy_(2 * torch.stack([angle.cos(), angle.sin()], dim=1))
            self.head.bias.zero_()

    def forward(self, x):
        assert not x.isnan().any()
        return {"logits": self.head(x)}


@pytest.fixture(scope="module")
def world():
    return blobs(num_examples=NUM, num_classes=3, seed=0)


@pytest.fixture(scope="module")
def rows(world):
    return [
        {
            "id": f"r{row}",
            "x": world.inputs[row],
            "text": "?",
            "label": int(world.label[row]) if row < NUM_LABELLED else None,
        }
        for row in range(NUM)
    ]


@pytest.fixture(scope="module")
def answers(world):
    """In another order than the rows, with some that no row needs."""
    order = np.random.default_rng(0).permutation(NUM)
    columns = {name: [*world.teacher_probs[order, k].tolist(), 1 / 3] for k, name in enumerate(NAMES)}
    return pa.table({"id": [*(f"r{row}" for row in order), "another"], **columns})


class Seen(transformers.TrainerCallback):
    """The gradient of every step."""

    def __init__(self):
        self.gradients = []

    def on_pre_optimizer_step(self, args, state, control, model=None, **more):
        self.gradients.append(model.head.weight.grad.clone())


def trained(distillation, tmp_path, *, accumulation=1, epochs=1, batch_size=None, label_names=None, **more):
    model, seen, num = Model(), Seen(), len(distillation.train_dataset)
    size = batch_size or -(-num // accumulation)
    args = transformers.TrainingArguments(
        output_dir=str(tmp_path), per_device_train_batch_size=size, gradient_accumulation_steps=accumulation,
        num_train_epochs=epochs, learning_rate=TINY, max_grad_norm=0.0, report_to="none", save_strategy="no",
        use_cpu=True, label_names=label_names, disable_tqdm=True, logging_strategy="epoch",
    )  # fmt: skip
    trainer = transformers.Trainer(
        model, args, train_dataset=distillation.train_dataset, compute_loss_func=distillation.loss,
        callbacks=[distillation, seen], **more,
    )  # fmt: skip
    trainer.train()
    return trainer, seen.gradients


def in_our_loop(world, name, epochs):
    """The loss and the gradient of the last step of our own loop, each of whose steps has all rows."""
    method, model = method_by_name(name), Model()
    label = torch.where(torch.arange(NUM) < NUM_LABELLED, world.label, -1)
    answered = compress(world.teacher_probs).identified([f"r{row}" for row in range(NUM)])
    every = AnsweredExamples(place=torch.arange(NUM), label=label, answers=answered)
    labelled, pool = every.take(torch.arange(NUM_LABELLED)), every.take(torch.arange(NUM_LABELLED, NUM))
    data = TrainingData(inputs=Dense(values=world.inputs), labelled=labelled, pool=pool)
    noise, held_out = estimated_noise(method, data), None
    if method.needs_held_out:
        labelled, held_out = data.parted(labelled, 0)
    total = len(labelled) + len(pool)
    options = TrainOptions(
        epochs=epochs, batch_size=total, labelled_share=len(labelled) / total, optimizer="sgd", learning_rate=TINY,
        warmup_share=0, weight_decay=0,
    )  # fmt: skip
    loop_data = LoopData(
        rows=labelled.rows(data.inputs, noise).followed_by(pool.rows(data.inputs, noise)),
        num_labelled=len(labelled),
        transition=noise.transition,
        held_out=None if held_out is None else held_out.rows(data.inputs, noise),
    )
    module = nn.Sequential(model.head)
    history, _ = train(module, loop_data, method=method, options=options, steps_per_epoch=1, seed=0)
    return history[-1].loss, model.head.weight.grad


def test_a_student_that_has_not_learned_is_told_of_at_the_end(world, rows, answers, tmp_path, monkeypatch):
    distillation = distillation_of(rows, answers, class_names=NAMES, method="forward")
    # Scores that turn classes round; TINY steps change nothing.
    turned = Model()
    with torch.no_grad():
        turned.head.weight.copy_(turned.head.weight.roll(1, dims=0))
    monkeypatch.setitem(globals(), "Model", lambda: turned)
    with pytest.warns(UserWarning, match=r"not learned: of 36 labelled .* epoch: give 30 or more .num_train_epochs"):
        trained(distillation, tmp_path)
    assert distillation.findings[-1].startswith("The student has not learned: of 36 labelled examples")
    monkeypatch.undo()
    trained(distillation, tmp_path)
    assert distillation.findings == ()


@pytest.mark.parametrize("accumulation", [1, 4])
@pytest.mark.parametrize("name", ["wd", "slam", "forward", "wd_agreement_soft"])
def test_loss_and_gradient_are_those_of_our_own_loop(world, rows, answers, tmp_path, name, accumulation):
    epochs = 2 if name.startswith("wd") else 1
    distillation = distillation_of(rows, answers, class_names=NAMES, method=name)
    trainer, gradients = trained(distillation, tmp_path, accumulation=accumulation, epochs=epochs)
    loss, gradient = in_our_loop(world, name, epochs)
    assert len(gradients) == epochs
    torch.testing.assert_close(gradients[-1], gradient, rtol=1e-5, atol=1e-7)
    logged = [each["loss"] for each in trainer.state.log_history if "loss" in each]
    assert logged[-1] == pytest.approx(loss, abs=1e-3)
    if epochs == 2:
        assert not torch.allclose(gradients[0], gradients[1]), "weights are one in the first epoch only"


def test_a_second_training_starts_anew(rows, answers, tmp_path):
    distillation = distillation_of(rows, answers, class_names=NAMES, method="wd")
    _, first = trained(distillation, tmp_path, epochs=2)
    _, second = trained(distillation, tmp_path, epochs=2)
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-7)


def test_batches_of_unequal_sizes_count_by_their_rows(rows, answers, tmp_path):
    """The last batch of a step is smaller: its rows count as much as all others."""
    distillation = distillation_of(rows, answers, class_names=NAMES, method="slam")
    _, one = trained(distillation, tmp_path, batch_size=NUM)
    _, many = trained(distillation, tmp_path, batch_size=25, accumulation=4)
    torch.testing.assert_close(one[0], many[0], rtol=1e-5, atol=1e-7)


def test_an_evaluation_set_keeps_its_classes(world, rows, answers, tmp_path):
    held = [{"x": each["x"], "labels": int(world.label[row])} for row, each in enumerate(rows)]
    distillation = distillation_of(rows, answers, class_names=NAMES, method="slam")
    trainer, _ = trained(distillation, tmp_path, eval_dataset=held, label_names=["labels"])
    wanted = nn.functional.cross_entropy(Model()(world.inputs)["logits"], world.label).item()
    assert trainer.evaluate()["eval_loss"] == pytest.approx(wanted, rel=1e-4)


def test_held_out_rows_are_not_trained_on(rows, answers):
    distillation = distillation_of(rows, answers, class_names=NAMES, method="wd")
    trained_on = set(distillation.train_dataset.place.tolist())
    assert len(distillation.held_out) == 12
    assert not trained_on & set(distillation.held_out.tolist())
    assert repr(distillation) == "Distillation(24 labelled and 60 pool rows, 12 held out, 3 classes)"
    first = distillation.train_dataset[0]
    assert (first["id"], first["label"]) == (f"r{min(trained_on)}", 3 + min(trained_on))


def test_answers_are_matched_by_id_or_refused(world, rows, answers):
    made = distillation_of(rows, answers, class_names=NAMES)
    stored = made.answered.teacher_probs.take(torch.arange(NUM))
    torch.testing.assert_close(stored, world.teacher_probs, atol=1e-3, rtol=0)
    named = {f"r{row}": NAMES[world.teacher_probs[row].argmax()] for row in reversed(range(NUM))}
    by_name = distillation_of(rows, named, class_names=NAMES).answered.teacher_probs.take(torch.arange(NUM))
    assert (by_name.argmax(dim=1) == world.teacher_probs.argmax(dim=1)).all()
    turned = answers.select(["id", "dog", "eel", "cat"])
    by_column = distillation_of(rows, turned, class_names=NAMES).answered.teacher_probs.take(torch.arange(NUM))
    torch.testing.assert_close(by_column, stored)
    refused = {
        r"answers lacks 16 of the 96 rows": (rows, pa.table({"id": range(80), "a": ["cat"] * 80})),
        "answers lacks 1 of the 96 rows, such as id 'r5'": (rows, {k: v for k, v in named.items() if k != "r5"}),
        "answers has 96 ids more than once": (rows, pa.concat_tables([answers[:96], answers[:96]])),
        "The column 'id' of the data set has 1 id more than once": ([*rows, rows[0]], answers),
        "answers has no column 'id'": (rows, answers.drop_columns(["id"])),
        "answers has the columns 'cat', 'dog' beside 'id'": (rows, answers.drop_columns(["eel"])),
        "answers is a list, which has no ids": (rows, list(named.values())),
        "answers: none of 96 rows has an answer .'cow' .96..; the classes": (rows, dict.fromkeys(named, "cow")),
        "36 labelled and 0 unlabelled rows with an answer": (
            rows,
            {name: None if int(name[1:]) >= NUM_LABELLED else each for name, each in named.items()},
        ),
        "The data set has no column 'label'": ([{"id": each["id"]} for each in rows], answers),
        "36 labelled and 0 unlabelled rows with": (rows[:NUM_LABELLED], answers),
        "in the order .* they are right for": (rows, answers.rename_columns(["id", "dog", "eel", "cat"])),
    }
    refused["answers lacks 16 of the 96 rows"] = (
        [{**each, "id": row} for row, each in enumerate(rows)],
        refused.pop(r"answers lacks 16 of the 96 rows")[1],
    )
    for sentence, (given, theirs) in refused.items():
        with pytest.raises(InputError, match=sentence):
            distillation_of(given, theirs, class_names=NAMES)


def test_rows_without_an_answer_are_left_out_or_trained_on_by_their_label(world, rows):
    named = {f"r{row}": NAMES[world.teacher_probs[row].argmax()] for row in range(NUM)}
    one_hot = {name: [float(each == word) for each in NAMES] for name, word in named.items()}
    # Lists of probabilities by id are no columns of a frame; a dict of columns is one.
    columns = {"id": [*named], "word": [*named.values()]}
    stored = [
        distillation_of(rows, each, class_names=NAMES, method="slam").answered.teacher_probs.take(torch.arange(NUM))
        for each in (named, one_hot, columns)
    ]
    assert torch.equal(stored[0], stored[1])
    assert torch.equal(stored[0], stored[2])
    fewer = [row for row in rows if row["id"] not in ("r0", "r50")]
    without = distillation_of(fewer, named, class_names=NAMES, method="slam")
    for given, odd in ((named, "unknown"), (named, None), (one_hot, None)):
        made = distillation_of(rows, {**given, "r0": odd, "r50": odd}, class_names=NAMES, method="slam")
        assert len(made.train_dataset) == NUM - 1
        assert made.findings[0].startswith("answers: 2 of 96 rows have no answer (")
        assert made.findings[0].endswith("; 1 without a label are left out, 1 are trained on by their label alone.")
        # What is known of the teacher comes from the others.
        torch.testing.assert_close(made.transition, without.transition)
        assert made.train_dataset.place.tolist() == [row for row in range(NUM) if row != 50]


@pytest.mark.parametrize("name", ["auto", "dfnd", "self_distilled", "prediction_powered"])
def test_methods_that_the_trainer_cannot_run_are_refused(rows, answers, name):
    with pytest.raises(InputError, match="which the Trainer cannot do"):
        distillation_of(rows, answers, class_names=NAMES, method=name)


def test_labels_that_are_no_rows_are_refused(rows, answers, tmp_path):
    distillation = distillation_of(rows, answers, class_names=NAMES, method="wd")
    logits = torch.zeros(2, 3, requires_grad=True)
    held_out = 3 + distillation.held_out[:2]
    with pytest.raises(InputError, match="must call the column `label` of train_dataset `labels`"):
        distillation.loss({"logits": logits}, None, torch.tensor(2))
    for labels in (torch.tensor([0, 1]), torch.tensor([-1, 1]), torch.tensor([3, 3 + NUM]), held_out):
        with pytest.raises(InputError, match="no rows that are trained on; give train_dataset"):
            distillation.loss({"logits": logits}, labels, torch.tensor(2))
    mine = 3 + distillation.train_dataset.place[:2]
    for count in (None, torch.tensor([2, 2]), torch.tensor(0)):
        with pytest.raises(InputError, match="one positive number is needed"):
            distillation.loss({"logits": logits}, mine, count)
    with pytest.raises(InputError, match=r"logits of shape \(2, 4\)"):
        distillation.loss({"logits": torch.zeros(2, 4)}, mine, 2)
    plain = CodedRows(rows=rows, place=torch.arange(2), num_classes=0)
    assert [plain[row]["label"] for row in range(2)] == [0, 1]


def test_answers_that_give_all_classes_the_same_probability_are_no_class_to_learn(world, rows):
    named = {f"r{row}": NAMES[world.teacher_probs[row].argmax()] for row in range(NUM)}
    answers = {name: [float(each == word) for each in NAMES] for name, word in named.items()} | {"r50": [1 / 3] * 3}
    for method, left_out in (("hard", 1), ("soft", 0)):
        made = distillation_of(rows, answers, class_names=NAMES, method=method)
        assert len(made.train_dataset) == NUM - left_out
        assert (
            any("1 rows without a label have an answer that gives every" in each for each in made.findings) == left_out
        )
