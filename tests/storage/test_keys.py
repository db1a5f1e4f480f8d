"""Keys of stored content do not change with a release: golden texts, new options, renamed classes."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import overproof
from overproof import registry
from overproof.methods.composition import Method, Objective, override
from overproof.methods.losses import GeneralizedCrossEntropy
from overproof.methods.published import method, method_names
from overproof.methods.targets import Given, Soft
from overproof.models import ZOO, ModelSpec, described_student
from overproof.models import zoo as zoo_module
from overproof.registry import described, entries
from overproof.storage.keys import canonical_json
from overproof.teachers.keys import network_fingerprint
from overproof.training.checkpoint import fingerprint_of
from overproof.training.options import TeacherTraining, TrainOptions
from overproof.training.peer_rounds.peers import PeerOptions

GOLDEN = {
    "labelled_only": '{"noise":{"name":"noiseless"},"select":{"name":"nothing"}}',
    "hard": '{"noise":{"name":"noiseless"}}',
    "soft": '{"noise":{"name":"noiseless"},"pool":{"target":{"name":"soft"}}}',
    "hard_tuned": '{"noise":{"name":"noiseless"},"search":'
    '{"balanced":false,"methods":["hard"],"rounds":0,"weight_decays":[1.0,10.0]}}',
    "soft_tuned": '{"noise":{"name":"noiseless"},"search":'
    '{"balanced":false,"methods":["soft"],"rounds":0,"weight_decays":[1.0,10.0]}}',
    "labelled_only_tuned": '{"noise":{"name":"noiseless"},"search":'
    '{"balanced":false,"methods":["labelled_only"],"rounds":0,"weight_decays":[1.0,10.0]}}',
    "auto": '{"noise":{"name":"noiseless"},"search":{}}',
    "soft_tempered": '{"noise":{"name":"noiseless"},'
    '"pool":{"loss":{"name":"tempered_divergence"},"target":{"name":"soft"}}}',
    "calibrated_soft": '{"pool":{"target":{"name":"calibrated"}}}',
    "fidelity": '{"pool":{"weight":{"name":"fidelity"}}}',
    "wd": '{"pool":{"weight":{"name":"debiased"}}}',
    "wd_soft": '{"pool":{"target":{"name":"soft"},"weight":{"name":"debiased"}}}',
    "wd_separate": '{"pool":{"weight":{"estimator":"separate","name":"debiased"}}}',
    "wd_agreement": '{"pool":{"weight":{"cap":10.0,"name":"debiased","student_covariate":"agreement"}}}',
    "wd_agreement_soft": '{"pool":{"target":{"name":"soft"},'
    '"weight":{"cap":10.0,"name":"debiased","student_covariate":"agreement"}}}',
    "slam": '{"pool":{"loss":{"name":"student_label_mixing"}}}',
    "slam_soft": '{"pool":{"loss":{"name":"student_label_mixing"},"target":{"name":"soft"}}}',
    "slam_normalized": '{"pool":{"loss":{"name":"student_label_mixing","normalized":true}}}',
    "slam_auto": '{"pool":{"loss":{"name":"student_label_mixing","normalized":"auto"}}}',
    "forward": '{"pool":{"loss":{"name":"forward_correction"}}}',
    "likelihood": '{"noise":{"name":"conditional"},"pool":{"loss":{"name":"answer_likelihood"}}}',
    "answer_sets": '{"noise":{"name":"answer_sets"},"pool":{"loss":{"name":"answer_likelihood"}}}',
    "prediction_powered": '{"labelled":{"target":{"name":"rectified"}},"noise":{"name":"noiseless"},'
    '"pool":{"target":{"name":"powered"}}}',
    "prediction_powered_bounded": '{"labelled":{"target":{"bounded":true,"name":"rectified","power":1.0}},'
    '"noise":{"name":"noiseless"},"pool":{"target":{"name":"powered","power":1.0}}}',
    "dfnd": '{"pool":{"loss":{"name":"adaptation_matrix"},"target":{"name":"soft"}},"select":{"name":"confident"}}',
    "born_again": '{"labelled":{"target":{"name":"soft"}},"noise":{"name":"noiseless"},"select":{"name":"nothing"}}',
    "self_distilled": '{"labelled":{"target":{"imitation":"auto","name":"self_distilled"}},'
    '"noise":{"name":"noiseless"},"select":{"name":"nothing"}}',
    "retrained": '{"labelled":{},"noise":{"name":"noiseless"},"select":{"name":"nothing"}}',
    "consensus": '{"labelled":{"target":{"name":"given"},"weight":{"name":"consensus"}},'
    '"noise":{"name":"noiseless"},"select":{"name":"nothing"}}',
    "partial_label": '{"initial":"teacher","labelled":{"loss":{"name":"generalized_cross_entropy"},'
    '"target":{"name":"top_candidates"}},"noise":{"name":"noiseless"},"select":{"name":"nothing"}}',
    "labelled_gce": '{"labelled":{"loss":{"name":"generalized_cross_entropy"},"target":{"name":"given"}},'
    '"noise":{"name":"noiseless"},"select":{"name":"nothing"}}',
}
"""A method's part of the keys of checkpoints and peers. A line that changes makes what was stored under it foreign."""


@pytest.mark.parametrize("name", method_names())
def test_a_method_has_the_key_it_has_always_had(name):
    assert canonical_json(described(method(name))) == GOLDEN[name]


def test_other_methods_have_other_keys():
    keys = {name: canonical_json(described(method(name))) for name in method_names()}
    assert len(set(keys.values())) == len(keys)


def test_what_follows_from_other_options_has_another_key():
    built, options = method("wd"), TrainOptions()
    keys = {
        fingerprint_of(built, options, 10, 20, 0),
        fingerprint_of(override(built, "pool.weight.cap", 2.0), options, 10, 20, 0),
        fingerprint_of(override(built, "noise.prior", 1.0), options, 10, 20, 0),
        fingerprint_of(built, options.model_copy(update={"epochs": 3}), 10, 20, 0),
        fingerprint_of(built, TrainOptions(augmentation=["crop"]), 10, 20, 0),
        fingerprint_of(built, TrainOptions(augmentation=["flip"]), 10, 20, 0),
        fingerprint_of(built, options, 11, 20, 0),
        fingerprint_of(built, options, 10, 21, 0),
        fingerprint_of(built, options, 10, 20, 1),
    }
    assert len(keys) == 9


def test_how_often_a_checkpoint_is_written_changes_no_key():
    rare = TrainOptions(checkpoint_seconds=3600)
    assert fingerprint_of(method("wd"), rare, 1, 2, 0) == fingerprint_of(method("wd"), TrainOptions(), 1, 2, 0)
    assert network_fingerprint({"name": "mlp"}, rare) == '{"student":{"name":"mlp"},"train":{}}'


def test_the_loss_of_a_teacher_is_in_its_key_where_it_is_not_the_usual_one():
    usual, squared = TeacherTraining(), TeacherTraining(loss="mse")
    assert network_fingerprint({"name": "mlp"}, usual) == network_fingerprint({"name": "mlp"}, TrainOptions())
    assert network_fingerprint({"name": "mlp"}, squared) == '{"student":{"name":"mlp"},"train":{"loss":"mse"}}'


def changed_class(part, **added):
    """A class of another name with the options of a part's class and more, each with a default."""
    inherited = [(each.name, each.type, each) for each in dataclasses.fields(part)]
    fields = [
        (name, kind, dataclasses.field(default=each.default, default_factory=each.default_factory))
        for name, kind, each in inherited
    ]
    return dataclasses.make_dataclass(
        f"Renamed{part.__name__}",
        [*fields, *((name, type(value), value) for name, value in added.items())],
        kw_only=True,
    )


@pytest.mark.parametrize("entry", [each for each in entries() if each.kind != "method"], ids=lambda each: each.name)
def test_a_new_option_and_another_class_name_change_no_key_of_a_part(entry, monkeypatch):
    before = described(entry.make())
    later = changed_class(entry.make, added_later=3)
    monkeypatch.setitem(registry._entries, (entry.kind, entry.name), dataclasses.replace(entry, make=later))
    assert described(later()) == before == {"name": entry.name}
    assert described(later(added_later=4)) == {"name": entry.name, "added_later": 4}


def test_a_new_option_and_another_class_name_change_no_key_of_a_group():
    class Renamed(TrainOptions):
        added_later: int = 3

    class RenamedPeers(PeerOptions):
        added_later: int = 3

    later = changed_class(Method, added_later=3)
    later.__module__ = Method.__module__
    built = method("wd")
    fields = {each.name: getattr(built, each.name) for each in dataclasses.fields(built)}
    assert described(later(**fields)) == described(built)
    assert described(Renamed(epochs=3)) == described(TrainOptions(epochs=3)) == {"epochs": 3}
    assert described(RenamedPeers(most=2)) == described(PeerOptions(most=2)) == {"most": 2}


def test_a_new_option_of_a_student_changes_no_key(monkeypatch):
    spec = ModelSpec(name="ngram", options={"buckets": 64})
    before = described_student(spec)
    more = {**ZOO["ngram"].encoder_options, "added_later": [1, 2]}
    monkeypatch.setitem(zoo_module.ZOO, "ngram", dataclasses.replace(ZOO["ngram"], encoder_options=more))
    resolved = zoo_module.replace(spec, options={**more, **spec.options})
    assert described_student(resolved) == described_student(spec) == before


def test_a_part_of_ones_own_goes_by_its_import_path_and_its_options():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Mine:
        power: float = 0.5

        def __call__(self, batch):
            return batch.student_logits[:, 0]

    def function(batch):
        return batch

    built = Objective(target=Soft(), loss=Mine(power=0.25))
    assert described(built) == {
        "target": {"name": "soft"},
        "loss": {"name": f"{Mine.__module__}:{Mine.__qualname__}", "power": 0.25},
    }
    assert described(Objective(target=function))["target"] == f"{__name__}:{function.__qualname__}"


def test_arrays_among_options_are_told_apart_by_their_content():
    values = torch.arange(5000.0)
    other = values.clone()
    other[2500] = 0
    assert described(values) == described(values.numpy()) != described(other)
    assert described(np.zeros(2)) != described(np.zeros((2, 1)))


def test_numbers_are_written_as_they_are_read():
    plain = {"b": 0.1 + 0.2, "a": [1e-300, 5, True, None, "ξ"]}
    assert canonical_json(plain) == '{"a":[1e-300,5,true,null,"ξ"],"b":0.30000000000000004}'
    assert json.loads(canonical_json(plain)) == plain


def test_a_changed_part_differs_from_the_default_whatever_its_class():
    assert described(Method(labelled=Objective(target=Given()))) == {}
    assert described(Method(labelled=Objective())) == {"labelled": {}}
    assert described(GeneralizedCrossEntropy(power=0.5)) == {"name": "generalized_cross_entropy", "power": 0.5}


def test_the_version_is_in_no_key():
    root = Path(overproof.__file__).parent
    users = {
        path.relative_to(root).parts[0]
        for path in root.rglob("*.py")
        if re.search(r"\b__version__\b.*\n|version\(\"overproof\"\)", path.read_text())
        and re.search(r"from overproof\.version import", path.read_text())
    }
    # What people read (cards, graphs, pages), and what workers of a cluster must have.
    assert users <= {"__init__.py", "deployment", "report", "commands", "scale"}
