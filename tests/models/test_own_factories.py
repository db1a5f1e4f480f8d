"""A module of the user is made with what it accepts, by name; what does not fit is one sentence."""

import os
import sys

import pytest
import torch
from torch import nn

import overproof
from overproof.commands.main import main
from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.models import ModelSpec, build, importing
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


def test_a_module_of_ones_own_is_found_in_the_working_folder_and_beside_the_experiment(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each not in ("", ".", os.getcwd())])
    monkeypatch.setattr(importing, "_folders", [])
    monkeypatch.chdir(tmp_path)
    for folder, name in (("here", "ones_own_first"), ("there", "ones_own_second")):
        (tmp_path / folder).mkdir()
        made = "def net(input_shape, num_classes): return nn.Linear(*input_shape, num_classes)"
        (tmp_path / folder / f"{name}.py").write_text(f"from torch import nn\n{made}\n")
    (tmp_path / "here/json.py").write_text("raise SystemExit('a file hides a module')")
    rows = [f"{i / 7:.3f},{i % 5},{('a' if i % 2 else 'b') if i < 40 else ''}" for i in range(80)]
    (tmp_path / "t.csv").write_text("\n".join(["u,v,y", *rows]))
    small = ["--set", "methods=[hard]", "--set", "data.folds=2", "--set", "teacher.model=linear"]
    monkeypatch.chdir(tmp_path / "here")
    main(["init", "../t.csv", "--label", "y", "--out", "e.yaml", "--set", "student=ones_own_first:net", *small])
    assert "The run: about" in capsys.readouterr().out
    main(["run", "../t.csv", "--label", "y", "--out", "r", "--set", "student=ones_own_first:net", *small, "--dry-run"])
    (tmp_path / "there/e.yaml").write_text((tmp_path / "here/e.yaml").read_text().replace("own_first", "own_second"))
    main(["compare", "../there/e.yaml", "--out", "c", "--labels", "20", "--dry-run", "--allow-import", "json:loads",
          "--allow-import", "ones_own_second:net"])  # fmt: skip
    assert "students" in capsys.readouterr().out
    with (
        allowing("ones_own_third:net"),
        pytest.raises(InputError, match="in the working folder, and in that"),
    ):
        importing.imported("ones_own_third:net", what="student")
    with allowing("json:loads"):
        assert importing.imported("json:loads", what="student")("3") == 3


def test_a_run_with_a_teacher_of_ones_own_ends_with_its_report(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importing, "_folders", [])
    monkeypatch.chdir(tmp_path)
    made = "def net(input_shape, num_classes): return nn.Linear(*input_shape, num_classes)"
    (tmp_path / "ones_own_both.py").write_text(f"from torch import nn\n{made}\n")
    rows = [f"{i / 7:.3f},{i % 5},{('a' if i % 2 else 'b') if i < 40 else ''}" for i in range(80)]
    (tmp_path / "t.csv").write_text("\n".join(["u,v,y", *rows]))
    named = ["--allow-import", "ones_own_both:net"]
    own = ["student=ones_own_both:net", "teacher.model=ones_own_both:net", "methods=[hard]", "data.folds=2"]
    main(["run", "t.csv", "--label", "y", "--out", "r", *(word for each in own for word in ("--set", each))])
    assert "report.html" in capsys.readouterr().out
    assert {"report.html", "result.json"} <= {each.name for each in (tmp_path / "r").iterdir()}
    for command in (["report", "r"], ["evaluate", "r"]):
        with pytest.raises(SystemExit) as stopped:
            main(command)
        assert stopped.value.code == 2
        assert "add --allow-import ones_own_both:net" in capsys.readouterr().err
        main([*command, *named])
    main(["assess", "r", *named])
    main(["export", "r", "--out", "x", *named])
    assert (tmp_path / "x/model.onnx").exists()
