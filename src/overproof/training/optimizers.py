"""The optimizers of a student, and their learning rate schedules."""

import functools
import inspect
import math
from typing import Any

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
    assert not isinstance(rate, str), "the caller resolves 'auto'"
    groups = [{**group, "initial_lr": rate} for group in groups if group["params"]]
    fused = device.type in ("cpu", "cuda")
    if options.optimizer == "sgd":
        return eager(torch.optim.SGD)(groups, lr=rate, momentum=0.9, nesterov=True, fused=fused)
    return eager(torch.optim.AdamW)(groups, lr=rate, fused=fused)


@functools.cache
def eager(kind: type[torch.optim.Optimizer]) -> Any:
    """A kind of optimizer without the decorators for `torch.compile`, which import `torch._dynamo`: 1.5 seconds.

    The decorators exclude the methods from compilation; every optimizer imports the compiler in its first call only for
    this.
    No optimizer is compiled here (`train.compile` compiles the student), and what the methods compute is the same.

    Args:
        kind: A class of `torch.optim`.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(1))
        >>> optimizer = eager(torch.optim.SGD)([weight], lr=0.5)
        >>> weight.grad = torch.ones(1)
        >>> optimizer.step()
        >>> weight.item()
        0.5
    """
    decorated = ("add_param_group", "state_dict", "load_state_dict", "zero_grad")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in decorated}
    # Its decorator also turns gradients off.
    plain = type(kind.__name__, (kind,), {**methods, "step": _unhooked(inspect.unwrap(kind.step))})
    return _listed(plain) if kind is torch.optim.AdamW else plain


def _unhooked(step: Any) -> Any:
    """A step without gradients that optimizers do not wrap for profiling: a tenth of a small student's step."""
    plain = torch.no_grad()(step)
    plain.hooked = True
    return plain


def _listed(plain: Any) -> Any:
    """AdamW that, where it is fused, makes the lists of its states once, not in every step; it computes the same.

    PyTorch's own step sorts them by device and type, longer than the computation itself takes for a small student.
    """

    class AdamW(plain):
        _lists: list[list[list[torch.Tensor]]] | None = None

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            self._lists = None
            super().load_state_dict(state_dict)

        @_unhooked
        def step(self) -> None:
            grads = [[value.grad for value in group["params"]] for group in self.param_groups]
            if self._lists is None or any(grad is None for each in grads for grad in each):
                super().step()
                # A state is made in the first step with a gradient.
                states = [[self.state.get(value) for value in group["params"]] for group in self.param_groups]
                if all(state for each in states for state in each) and self.defaults["fused"]:
                    names = ("exp_avg", "exp_avg_sq", "step")
                    self._lists = [[[state[name] for state in each] for name in names] for each in states]
                return
            for group, gradients, (means, squares, steps) in zip(self.param_groups, grads, self._lists, strict=True):
                torch._foreach_add_(steps, 1)
                torch._fused_adamw_(
                    group["params"],
                    gradients,
                    means,
                    squares,
                    [],
                    steps,
                    lr=group["lr"],
                    beta1=group["betas"][0],
                    beta2=group["betas"][1],
                    weight_decay=group["weight_decay"],
                    eps=group["eps"],
                    amsgrad=False,
                    maximize=False,
                )

    return AdamW
