"""The training options of a student."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic
import torch
from pydantic_core import PydanticCustomError

from overproof.errors import InputError
from overproof.options import Options, Share
from overproof.training.augmentation import Augmentation

EPOCHS = 15
"""Passes over the data by default, ..."""

LEAST_STEPS = 200
"""... and the least number of steps: a hundred examples are one step an epoch, and fifteen steps train nothing."""


def _device(value: str) -> str:
    try:
        supported = value == "auto" or torch.device(value).type != "meta"
    except RuntimeError:
        supported = False
    if not supported:
        raise PydanticCustomError("device", "it must be 'auto', 'cpu', 'cuda' or another device that PyTorch supports")
    return value


class TrainOptions(Options):
    """How a student is trained.

    Args:
        epochs: Passes over the pool; over the labelled examples where there is no pool. `auto` is 15, and more where
            those are fewer than 200 steps.
        batch_size: Examples a step, labelled and pool ones together.
        labelled_share: Share of every batch drawn from the labelled examples; `auto` is their share of all examples,
            but at least an eighth, so that few labels still have an effect.
        optimizer: `adamw` or `sgd` (Nesterov momentum .9); `auto` is the default of the student.
        learning_rate: At the peak; `auto` is the default of the student and the optimizer.
        weight_decay: Decoupled for AdamW; never on biases and norms.
        warmup_share: Share of all steps that warm up linearly.
        schedule: After the warm-up: `cosine` falls to zero; `steps` falls to a tenth after 40 % of all steps and to a
            hundredth after 80 %.
        ema: Decay of an exponential moving average of the weights, which is then used as the student; 0 is none.
        augmentation: For images: `none`, `crop` or `crop_flip`; or a list of steps, each a name or options with a
            `name`: `crop`, `flip`, `resized_crop`, `colour`, `cutout`, `rand_augment` (`training.image_operations`).
        padding: Pixels by which a crop may shift; a step of a list has its own.
        teacher_answers: `stored` uses the teacher's answers to the original images (fast); `online` evaluates it
            on every augmented image (as some papers do; slower); the teacher must then be a saved student for images.
        early_stop_epochs: Stop after this many epochs without a better loss on held-out labelled examples, and use the
            best; 0 never stops. With `ema` the averaged weights are measured, because they are kept.
        accumulate: Forward and backward passes a step, for memory; the gradient is the same.
        bf16: Autocast to bfloat16 where the device is CUDA.
        compile: Compile the student with `torch.compile`.
        device: `auto` is CUDA where there is one.
        checkpoint_seconds: Seconds between two checkpoints, which is the most work that a kill loses.
    """

    epochs: pydantic.PositiveInt | Literal["auto"] = "auto"
    batch_size: int = pydantic.Field(128, ge=2)
    labelled_share: Share | Literal["auto"] = "auto"
    optimizer: Literal["auto", "adamw", "sgd"] = "auto"
    learning_rate: pydantic.PositiveFloat | Literal["auto"] = "auto"
    weight_decay: pydantic.NonNegativeFloat = 0.01
    warmup_share: float = pydantic.Field(0.05, ge=0, le=1)
    schedule: Literal["cosine", "steps"] = "cosine"
    ema: float = pydantic.Field(0.0, ge=0, lt=1)
    augmentation: Augmentation = "none"
    padding: pydantic.NonNegativeInt = 4
    teacher_answers: Literal["stored", "online"] = "stored"
    early_stop_epochs: pydantic.NonNegativeInt = 0
    accumulate: pydantic.PositiveInt = 1
    bf16: bool = True
    compile: bool = False
    device: Annotated[str, pydantic.AfterValidator(_device)] = "auto"
    checkpoint_seconds: pydantic.NonNegativeFloat = 10.0

    def resolved(self, optimizer: str, learning_rate: float) -> "TrainOptions":
        """The options without `auto`: the student's defaults, or the default rate of another optimizer."""
        if self.optimizer not in ("auto", optimizer):
            optimizer, learning_rate = self.optimizer, {"sgd": 0.05, "adamw": 1e-3}[self.optimizer]
        rate = learning_rate if self.learning_rate == "auto" else self.learning_rate
        return self.model_copy(update={"optimizer": optimizer, "learning_rate": rate})

    def num_epochs(self, steps_per_epoch: int) -> int:
        """The number of epochs.

        Args:
            steps_per_epoch: Optimizer steps in one.

        Example:
            >>> TrainOptions().num_epochs(40), TrainOptions().num_epochs(2), TrainOptions(epochs=3).num_epochs(2)
            (15, 100, 3)
        """
        if isinstance(self.epochs, int):
            return self.epochs
        return max(EPOCHS, -(-LEAST_STEPS // steps_per_epoch))

    def resolved_device(self) -> torch.device:
        """The device that `auto` means on this machine, or the given one.

        Raises:
            InputError: It is a CUDA device and there is none.
        """
        if self.device != "auto":
            device = torch.device(self.device)
            found = torch.cuda.device_count() if device.type == "cuda" else 1
            if (device.index or 0) >= found:
                raise InputError(f"Option 'train.device' is {self.device!r}; this machine has {found} CUDA devices.")
            return device
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class TeacherTraining(TrainOptions):
    """How a teacher is trained on the labels: `TrainOptions`, and its loss.

    Args:
        loss: `cross_entropy`, or `mse`: the squared difference between probabilities and label (arXiv 2407.18041),
            under which probabilities come closer to the posterior.
    """

    loss: Literal["cross_entropy", "mse"] = "cross_entropy"


def batch_sizes(options: TrainOptions, num_labelled: int, num_pool: int) -> tuple[int, int]:
    """The numbers of labelled and of pool examples in a batch.

    Example:
        >>> batch_sizes(TrainOptions(batch_size=128), num_labelled=300, num_pool=5000)
        (16, 112)
    """
    if num_pool == 0 or num_labelled == 0:
        return (options.batch_size, 0) if num_pool == 0 else (0, options.batch_size)
    natural = num_labelled / (num_labelled + num_pool)
    share = max(natural, 1 / 8) if isinstance(options.labelled_share, str) else options.labelled_share
    labelled_size = min(max(round(share * options.batch_size), 1), options.batch_size - 1)
    return labelled_size, options.batch_size - labelled_size


def num_steps(options: TrainOptions, num_labelled: int, num_pool: int) -> int:
    """The optimizer steps of an epoch.

    Args:
        options: For the sizes of batches.
        num_labelled: Number of labelled examples.
        num_pool: Number of pool examples in an epoch.

    Example:
        >>> num_steps(TrainOptions(batch_size=128), num_labelled=300, num_pool=5000)
        45
    """
    labelled_size, pool_size = batch_sizes(options, num_labelled, num_pool)
    passed, size = (num_pool, pool_size) if num_pool else (num_labelled, labelled_size)
    return max(1, round(passed / size))


def train_options(train: TrainOptions | Mapping[str, Any] | None) -> TrainOptions:
    """Training options, as Python gives them.

    Args:
        train: The options, a mapping with some of them, or None for the defaults.

    Example:
        >>> train_options({"epochs": 3}).epochs
        3

    Raises:
        InputError: It is neither; no such option, or a value that is not allowed.
    """
    if isinstance(train, TrainOptions):
        return train
    if train is not None and not isinstance(train, Mapping):
        raise InputError(f"train is {train!r}; overproof.TrainOptions(…) or a mapping of options is allowed.")
    return TrainOptions(**(train or {}))
