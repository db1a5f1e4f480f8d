"""Optimizers without the decorators for `torch.compile`: the same bits, the same stored state, no import of it."""

import copy
import subprocess
import sys

import pytest
import torch

from overproof.training.optimizers import eager, learning_rate_share
from overproof.training.options import TrainOptions

OPTIONS = {
    "SGD": {"momentum": 0.9, "nesterov": True, "fused": True},
    "AdamW": {"fused": True, "weight_decay": 0.01},
    "Adam": {},
}


def trained(optimizer_class, num_steps: int, options: dict, kept: dict | None = None):
    """Weights and optimizer after some steps on a random problem."""
    draw = torch.Generator().manual_seed(0)
    weights = [torch.nn.Parameter(torch.randn(5, 3, generator=draw)), torch.nn.Parameter(torch.zeros(3))]
    inputs, target = torch.randn(20, 5, generator=draw), torch.randn(20, 3, generator=draw)
    groups = [{"params": weights[:1], "weight_decay": 0.1}, {"params": weights[1:]}]
    optimizer = optimizer_class(groups, lr=0.05, **options)
    if kept is not None:
        with torch.no_grad():
            for weight, value in zip(weights, kept["weights"], strict=True):
                weight.copy_(value)
        optimizer.load_state_dict(copy.deepcopy(kept["optimizer"]))
    for _ in range(num_steps):
        optimizer.zero_grad()
        (inputs @ weights[0] + weights[1] - target).square().mean().backward()
        optimizer.step()
    return weights, optimizer


@pytest.mark.parametrize("name", OPTIONS)
def test_weights_and_state_are_those_of_torch(name):
    kind, options = getattr(torch.optim, name), OPTIONS[name]
    wanted, theirs = trained(kind, 7, options)
    weights, ours = trained(eager(kind), 7, options)
    assert all(map(torch.equal, weights, wanted))
    assert isinstance(ours, kind)
    state = ours.state_dict()
    assert repr(state) == repr(theirs.state_dict())
    # A state stored by one is read by the other.
    kept = {"weights": [weight.detach().clone() for weight in weights], "optimizer": state}
    further = trained(kind, 12, options)[0]
    for each in (kind, eager(kind)):
        assert all(map(torch.equal, trained(each, 5, options, kept)[0], further))
    assert all(weight.requires_grad for weight in weights)


def test_a_training_does_not_import_the_compiler():
    code = """if True:
        import sys, torch, overproof
        inputs, labels = torch.randn(60, 3), torch.randint(2, (20,))
        probs = torch.tensor([[0.6, 0.4]]).repeat(60, 1)
        options = overproof.TrainOptions(epochs=2, batch_size=16)
        answers = {"teacher_probs": probs[20:], "labelled_teacher_probs": probs[:20]}
        few = {"labelled": inputs[:20], "labels": labels}
        overproof.distill("linear", inputs[20:], **answers, **few, method="dfnd", train=options)
        print([name for name in ("torch._dynamo", "torch._inductor", "scipy.stats") if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr[-2000:]


def test_the_learning_rate_rises_in_equal_steps_to_its_peak():
    options = TrainOptions(warmup_share=0.1)
    assert [learning_rate_share(step, 40, options) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
