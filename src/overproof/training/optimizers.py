"""What moves the student's weights, and how fast at which step."""

import math

import torch
from torch import nn

from overproof.training.options import TrainOptions


def learning_rate_share(step: int, total_steps: int, options: TrainOptions) -> float:
    """Linear warm-up, then a cosine to zero or two steps down: the share of the peak learning rate at this step.

    Example:
        >>> steps = TrainOptions(schedule="steps", warmup_share=0)
        >>> [round(learning_rate_share(step, 100, steps), 2) for step in (39, 40, 79, 80)]
        [1.0, 0.1, 0.1, 0.01]
    """
    warmup = math.ceil(options.warmup_share * total_steps)
    if step < warmup:
        return (step + 1) / warmup
    if options.schedule == "steps":
        return 0.1 ** ((5 * step >= 2 * total_steps) + (5 * step >= 4 * total_steps))
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total_steps - warmup, 1)))


def optimizer_of(student: nn.Module, options: TrainOptions, device: torch.device) -> torch.optim.Optimizer:
    """Weight decay on matrices and kernels only; the fused kernel is several times faster for large embeddings."""
    parameters = [p for p in student.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    rate = options.learning_rate
    assert not isinstance(rate, str), "the caller resolves what is 'auto'"
    groups = [{**group, "initial_lr": rate} for group in groups if group["params"]]
    fused = device.type in ("cpu", "cuda")
    if options.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True, fused=fused)
    return torch.optim.AdamW(groups, lr=rate, fused=fused)
