"""A method as the `compute_loss_func` of the Trainer, and the callback that refreshes it on held-out labels."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import TrainerCallback

from overproof.answers.order import check_order
from overproof.answers.predictions import compress
from overproof.contract import Batch
from overproof.data.labels import array_labels
from overproof.errors import InputError
from overproof.evaluation.learning import not_learned
from overproof.huggingface.join_answers import answers_by_id
from overproof.huggingface.rows import LABELS, CodedRows, column_of
from overproof.methods.composition import Memories, Method
from overproof.methods.published import method_given
from overproof.models import Dense
from overproof.training.distillation import estimated_noise
from overproof.training.examples import AnsweredExamples, TrainingData, TrainingRows
from overproof.training.mixing import settled_mixing
from overproof.training.trainable import learnable

LOGGER = logging.getLogger("overproof.huggingface")

_SHOWN = 500
"""So many labelled rows, and rows of the pool, show whether a student has learned."""


class Distillation(TrainerCallback):
    """One method in the Trainer: give `train_dataset`, `compute_loss_func=it.loss` and `callbacks=[it]`.

    The Trainer hands nothing but labels on to a loss function, so the labels of `train_dataset` are row numbers; those
    of an evaluation set stay classes, and have the cross-entropy as their loss.

    Args:
        rows: The data set, of which `train_dataset` and held-out rows are parts.
        answered: Its rows as tensors: labels, answers, and the estimates of their accuracy.
        trained: [M], the rows that are trained on.
        held_out: [H], labelled rows that are not, for methods that need some.
        method: The objective.
        transition: [K, K], P(pseudo-label j | true label i).
        findings: On answers that are missing or spell a class otherwise; logged by the logger `overproof` too. After
            a training, also that the student has not learned, of which a `UserWarning` tells.
    """

    def __init__(
        self,
        *,
        rows: Any,
        answered: TrainingRows,
        trained: Int[Tensor, "M"],
        held_out: Int[Tensor, "H"],
        method: Method,
        transition: Float[Tensor, "K K"],
        findings: tuple[str, ...] = (),
    ) -> None:
        self.rows, self.answered, self.held_out = rows, answered, held_out
        self.method, self.transition = method, transition
        self.given_findings = self.findings = findings
        self.memories: Memories = method.start(transition)
        self.train_dataset = CodedRows(rows=rows, place=trained, num_classes=len(transition))
        self._trained = torch.zeros(len(answered), dtype=torch.bool)
        self._trained[trained] = True

    def __repr__(self) -> str:
        labelled = int((self.answered.label[self.train_dataset.place] >= 0).sum())
        return (
            f"Distillation({labelled} labelled and {len(self.train_dataset) - labelled} pool rows, "
            f"{len(self.held_out)} held out, {len(self.transition)} classes)"
        )

    def loss(self, outputs: Any, labels: Int[Tensor, "B"] | None, num_items_in_batch: Any = None) -> Tensor:
        """The `compute_loss_func` of a Trainer: weights times losses, divided by the rows of the whole step.

        `num_items_in_batch` counts the rows of all batches that are accumulated into a step, so that the gradient is
        that of one large batch, exactly.

        Args:
            outputs: The model's, with `logits` [B, K].
            labels: [B], row numbers of `train_dataset`, or the classes of an evaluation set.
            num_items_in_batch: The Trainer's count.

        Raises:
            InputError: Labels that are neither; a count that is missing, or one for several devices in a process.
        """
        logits = _logits(outputs)
        num_classes = len(self.transition)
        if labels is None:
            raise InputError(
                "The Trainer hands on no labels: the data collator must call the column `label` of train_dataset "
                "`labels`, as those of transformers do."
            )
        if labels.ndim != 1 or logits.shape != (len(labels), num_classes):
            raise InputError(
                f"The model has logits of shape {tuple(logits.shape)} for labels of shape "
                f"{tuple(labels.shape)}; [B, {num_classes}] and [B] are needed."
            )
        count = torch.as_tensor(num_items_in_batch if num_items_in_batch is not None else 0)
        if count.numel() != 1 or count.item() <= 0:
            raise InputError(
                f"The Trainer counts {num_items_in_batch} rows in a step, but one positive number is needed: run one "
                f"process for each device, with transformers 4.48 or newer."
            )
        if not torch.is_grad_enabled() and bool(((labels >= 0) & (labels < num_classes)).all()):
            truth = nn.functional.cross_entropy(logits.float(), labels, reduction="sum")
            return truth / count.to(logits.device)
        numbers = (labels - num_classes).cpu()
        if bool((numbers < 0).any()) or bool((numbers >= len(self._trained)).any()) or not self._trained[numbers].all():
            raise InputError(
                "Some labels are no rows that are trained on; give train_dataset=distillation.train_dataset."
            )
        loss, weight = self.per_example(logits, numbers)
        return torch.dot(weight, loss) / count.to(logits.device)

    def per_example(
        self, logits: Float[Tensor, "B K"], numbers: Int[Tensor, "B"]
    ) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
        """Loss and weight of rows, labelled ones first.

        Args:
            logits: [B, K], the student's.
            numbers: [B], their rows in the data set, on the CPU.
        """
        order = (self.answered.label[numbers] < 0).int().argsort(stable=True)
        batch = self._batch(numbers[order], logits[order.to(logits.device)].float())
        return self.method(batch, self._memories_on(logits.device), int((batch.label >= 0).sum()))

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start without the estimates of an earlier training.

        Args:
            args: The Trainer's.
            state: The Trainer's.
            control: The Trainer's.
            kwargs: The Trainer's.
        """
        self.memories = self.method.start(self.transition)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Refresh what uses held-out labels before every epoch except the first.

        Args:
            args: The Trainer's.
            state: The Trainer's; has the epoch.
            control: The Trainer's.
            kwargs: The Trainer's: the model, and the data loader, whose collator makes the batches.
        """
        if len(self.held_out) == 0 or (state.epoch or 0) < 1 - 1e-6:
            return
        collate = kwargs["train_dataloader"].collate_fn
        logits = self.logits_of(self.held_out, kwargs["model"], collate, args)
        self.memories = self.method.refresh(self.memories, self._batch(self.held_out, logits))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Warn of a student that has not learned, by at most 500 rows of each side that it was trained on.

        Args:
            args: The Trainer's.
            state: The Trainer's.
            control: The Trainer's.
            kwargs: The Trainer's: the model, and the data loader, whose collator makes the batches.
        """
        place = self.train_dataset.place
        known = self.answered.label[place] >= 0
        labelled, pool = place[known][:_SHOWN], place[~known][:_SHOWN]
        logits = self.logits_of(
            torch.cat([labelled, pool]), kwargs["model"], kwargs["train_dataloader"].collate_fn, args
        )
        answered = self.answered.teacher_probs.take(pool).argmax(dim=1)
        found = not_learned(
            logits[: len(labelled)].softmax(dim=1).cpu(),
            self.answered.label[labelled],
            num_epochs=max(1, round(state.epoch or 1)),
            agreement=(logits[len(labelled) :].argmax(dim=1).cpu() == answered).double().mean().item(),
            answered=answered,
            option="num_train_epochs",
        )
        if found and state.is_world_process_zero:
            warnings.warn(found, stacklevel=2)
        self.findings = (*self.given_findings, *([found] if found else []))

    def logits_of(self, place: Int[Tensor, "H"], model: nn.Module, collate: Any, args: Any) -> Float[Tensor, "H K"]:
        """The model's scores on some rows, in evaluation mode; its mode is restored.

        Args:
            place: [H], the rows of the data set.
            model: The student.
            collate: Makes a batch of some rows.
            args: Has the size of a batch.
        """
        device, training = next(model.parameters()).device, model.training
        held_out = CodedRows(rows=self.rows, place=place, num_classes=len(self.transition))
        parts = []
        model.eval()
        try:
            with torch.no_grad():
                for some in torch.arange(len(held_out)).split(max(1, args.per_device_eval_batch_size)):
                    batch = collate([held_out[row] for row in some.tolist()])
                    inputs = {name: value.to(device) for name, value in batch.items() if name not in LABELS}
                    parts.append(_logits(model(**inputs)).float())
        finally:
            model.train(training)
        return torch.cat(parts)

    def _memories_on(self, device: torch.device) -> Memories:
        return {
            path: {name: value.to(device) for name, value in memory.items()} for path, memory in self.memories.items()
        }

    def _batch(self, numbers: Tensor, logits: Tensor) -> Batch:
        probs = self.answered.teacher_probs.take(numbers)
        batch = self.answered.batch(numbers, probs, probs, self.transition)
        moved: dict[str, Any] = {
            each.name: value.to(logits.device)
            for each in fields(batch)
            if isinstance(value := getattr(batch, each.name), Tensor)
        }
        return replace(batch, **{**moved, "student_logits": logits})


def distillation_of(
    rows: Any,
    answers: Any,
    *,
    class_names: Sequence[str],
    method: str | Method = "slam_auto",
    id_column: str = "id",
    label_column: str = "label",
    held_out_share: float = 1 / 3,
    seed: int = 0,
) -> Distillation:
    """A method and a teacher's answers for the Trainer, matched with the rows of a data set by their ids.

    Args:
        rows: The data set, with and without labels: of `datasets`, or anything whose rows are mappings by number.
        answers: A data frame with a column of ids and one for each class, or one with the class that is answered; or a
            mapping from id to class or to K probabilities. None, NaN or a word that is no class is no answer: the row
            is left out, or trained on by its label alone. On labelled rows by a teacher that was not trained on them.
        class_names: K names, in the order of the model's logits.
        method: By name or composed; what `auto` chose is `overproof.distill(…, method="auto").method`. Not those that
            are searched, learn a matrix, need several students, or correct the pool by labels (`prediction_powered`).
        id_column: The column of ids in the data set and the answers.
        label_column: The data set's column of labels: a name or 0..K-1; None or -1 where unknown.
        held_out_share: Share of the labelled rows held out of training, for methods that need held-out labels (WD).
        seed: Draws the held-out rows.

    Raises:
        InputError: A row without an answer; an id that is there twice; a method that the Trainer cannot run.

    Example:
        >>> rows = [{"id": f"r{row}", "x": [float(row)], "label": row % 2 if row < 8 else None} for row in range(20)]
        >>> answers = {f"r{row}": "even" if row % 2 == 0 else "odd" for row in reversed(range(20))}
        >>> distillation_of(rows, answers, class_names=["even", "odd"], method="wd")
        Distillation(5 labelled and 12 pool rows, 3 held out, 2 classes)
    """
    built = method_given(method)
    _check_method(built)
    names = tuple(class_names)
    try:
        ids, given = column_of(rows, id_column), column_of(rows, label_column)
    except KeyError as error:
        raise InputError(
            f"The data set has no column {error.args[0]!r}; name it by id_column or label_column."
        ) from None
    theirs = answers_by_id(ids, answers, names, id_column)
    probs, silent = theirs.probs, torch.from_numpy(theirs.silent)
    label, _ = array_labels(
        given if any(each is not None for each in given) else [-1] * len(given),
        names,
        f"The column {label_column!r} of the data set",
    )
    known = label >= 0
    check_order(
        probs[known & ~silent].argmax(dim=1).numpy(),
        label[known & ~silent].numpy(),
        names,
        names,
        "answers",
        remedy="Name the columns of the probabilities by their classes.",
    )
    compressed = compress(probs, source="answers").identified([str(each) for each in ids]).without(silent)
    every = AnsweredExamples(place=torch.arange(len(label)), label=label, answers=compressed)
    labelled, pool = every.take(known.nonzero()[:, 0]), every.take((~known & ~silent).nonzero()[:, 0])
    learned = learnable(built, pool.answers)
    if len(labelled.answered) == 0 or not learned.any():
        raise InputError(
            f"The data set has {len(labelled.answered)} labelled and {int(learned.sum())} unlabelled rows with an "
            f"answer that names a class; some of each are needed."
        )
    findings = list(theirs.remarks)
    if silent.any():
        findings.insert(
            0,
            f"{theirs.lack('answers')}; {int((silent & ~known).sum())} without a label are left out, "
            f"{int((silent & known).sum())} are trained on by their label alone.",
        )
    if not learned.all():
        pool = pool.take(learned.nonzero()[:, 0])
        findings.append(
            f"{int((~learned).sum())} rows without a label have an answer that gives every class the same probability, "
            f"and so no class to learn: they are left out."
        )
    for finding in findings:
        LOGGER.warning(finding)
    nothing = Dense(values=torch.empty(len(label), 0))
    data = TrainingData(inputs=nothing, labelled=labelled, pool=pool, held_out_share=held_out_share)
    noise = estimated_noise(built, data)
    labelled = labelled.answered if built.reads_labelled_answers else labelled
    held_out = labelled.take(torch.arange(0))
    if built.needs_held_out:
        labelled, held_out = data.parted(labelled, seed)
    chosen = built.select(pool.answers)
    built, _ = settled_mixing(built, noise, pool.answers, chosen)
    pool = pool.take(chosen)
    return Distillation(
        rows=rows,
        answered=_by_place([labelled.rows(nothing, noise), pool.rows(nothing, noise)], every.rows(nothing, noise)),
        trained=torch.cat([labelled.place, pool.place]),
        held_out=held_out.place,
        method=built,
        transition=noise.transition,
        findings=tuple(findings),
    )


def _check_method(method: Method) -> None:
    learned = any(value.requires_grad for each in method.start(torch.eye(2)).values() for value in each.values())
    refused = {
        "is searched": method.search is not None,
        "learns a matrix beside the student": learned,
        "trains several students": method.generations > 1 or method.sought is not None or method.initial != "fresh",
        "corrects the pool by labels, in equal shares of every batch": method.rectified is not None,
    }
    for what, found in refused.items():
        if found:
            raise InputError(
                f"This method {what}, which the Trainer cannot do; use overproof.distill, or for `auto` give the "
                f"method that it chose: method=overproof.distill(…, method='auto').method."
            )


def _by_place(parts: Sequence[TrainingRows], every: TrainingRows) -> TrainingRows:
    """All rows of the data set, with the shares of classes among the rows of their side."""
    share = every.class_share.clone()
    for part in parts:
        share[part.place] = part.class_share
    return TrainingRows(
        inputs=every.inputs,
        place=every.place,
        label=every.label,
        teacher_probs=every.teacher_probs,
        teacher_accuracy=every.teacher_accuracy,
        num_candidates=every.num_candidates,
        likelihood=every.likelihood,
        class_share=share,
        draw_weight=every.draw_weight,
    )


def _logits(outputs: Any) -> Tensor:
    if isinstance(outputs, Mapping):
        found = outputs["logits"]
    else:
        found = outputs[0] if isinstance(outputs, tuple) else getattr(outputs, "logits", outputs)
    assert isinstance(found, Tensor)
    return found
