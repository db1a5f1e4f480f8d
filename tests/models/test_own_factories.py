"""A module of the user is made with what it accepts, by name; what does not fit is one sentence."""

import pytest
import torch
from torch import nn

import overproof
from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.models import ModelSpec, build
from overproof.models.factories import call_factory
from overproof.models.importing import allowing
from overproof.synthetic import blobs
from overproof.training.options import TrainOptions

GIVEN = {"input_shape": (4,), "num_classes": 3}


def net(shape, num_classes, hidden=8):
    return nn.Sequential(nn.Linear(shape[0], hidden), nn.Linear(hidden, num_classes))


class ByName(nn.Module):
    def __init__(self, *, num_classes, input_shape, depth=1):
        super().__init__()
        self.body = net(input_shape, num_classes, depth)

    def forward(self, inputs):
        return self.body(inputs)


class ClassesOnly(nn.LazyLinear):
    def __init__(self, num_classes):
        super().__init__(num_classes)


class NeedsMore(nn.Module):
    def __init__(self, input_shape, num_classes, width):
        super().__init__()


class Fails(nn.Module):
    def __init__(self, input_shape, num_classes):
        super().__init__()
        raise RuntimeError("no such kernel")


def own(name, **options):
    here = f"{__name__}:{name}"
    with allowing(here):
        return build(ModelSpec(name=here, options=options), [from_arrays(torch.rand(5, 4))], class_names="abc", seed=0)


@pytest.mark.parametrize(("name", "options"), [("ByName", {"depth": 5}), ("positional", {"hidden": 2})])
def test_a_factory_gets_what_it_accepts(name, options):
    assert own(name, **options).logits(torch.rand(2, 4)).shape == (2, 3)


def positional(shape, k, **options):
    return net(shape, k, **options)


def test_what_a_factory_has_no_parameter_for_is_left_out():
    assert isinstance(call_factory(ClassesOnly, "m:ClassesOnly", GIVEN, {})(), ClassesOnly)
    assert call_factory(lambda: 5, "m:five", GIVEN, {})() == 5


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("ByName", {"dept": 5}, "has no option 'dept' (nearest: 'depth'); its options are 'depth'."),
        ("NeedsMore", {}, "needs 'width', and only 'input_shape', 'num_classes' are passed to it"),
        ("Fails", {}, "failed when called with (input_shape=(4,), num_classes=3): no such kernel."),
    ],
)
def test_what_does_not_fit_is_a_sentence(name, options, words):
    with pytest.raises(InputError) as stopped:
        own(name, **options)
    assert words in str(stopped.value)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Linear(9, 3), "fails on a batch of inputs of shape"),
        (nn.Linear(2, 4), "has output of shape"),
        (nn.Linear(2, 1), "logits of shape"),
        (nn.Embedding(3, 3), "fails on a batch of inputs"),
    ],
)
def test_a_module_that_does_not_fit_the_data_is_refused_at_its_first_batch(module, words):
    world = blobs(num_examples=80, num_classes=3, seed=0)
    with pytest.raises(InputError, match=words):
        overproof.distill(
            module, world.inputs[20:], world.teacher_probs[20:], world.inputs[:20], world.label[:20],
            world.teacher_probs[:20], method="hard", train=TrainOptions(epochs=1),
        )  # fmt: skip
