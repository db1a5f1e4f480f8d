"""Every key of an experiment with values of other types: one sentence, never a traceback, never another value."""

import datetime
import math

import numpy as np
import pytest
import yaml

from overproof.errors import InputError
from overproof.options import hint_at
from overproof.options.annotations import choices
from overproof.runs.experiment import Experiment, MethodOptions, dump, experiment_from, load
from overproof.runs.first_look.explain import all_keys
from overproof.training.options import TrainOptions

KEYS = [key.replace("files.ROLE", "files.all") for key in all_keys()]
OTHER = {
    "true": True,
    "false": False,
    "a list": [3],
    "a list of true": [True],
    "a list of mappings": [{"a": {"b": 1}}],
    "a mapping": {"odd": 1},
    "a text": "odd",
    "a word for true": "yes",
    "one": 1,
    "a fraction": 2.5,
    "infinity": math.inf,
    "nan": math.nan,
    "a whole number that is too large": 10**400,
    "a date": datetime.date(2024, 1, 2),
    "bytes": b"odd",
    "a set": {"odd"},
    "half a pair": "\ud800",
    "the zero character": "a\0b",
    "null": None,
}


def with_value(key, value):
    """The options of an experiment in which one key has a value."""
    content = {
        "data": {
            "files": {"all": {"path": "some.csv", "label": "y"}},
            "rows": {"labelled": 30, "pool": 100, "test": 50},
        },
        "methods": [{"method": "slam"}],
    }
    place, *path = content, *key.split(".")
    for word in path[:-1]:
        place = place[word][0] if word == "methods" else place.setdefault(word, {})
    place[path[-1]] = value
    return content


def found_at(experiment, key):
    for word in key.split("."):
        experiment = experiment[word] if isinstance(experiment, dict) else getattr(experiment, word)
        experiment = experiment[-1] if word == "methods" and isinstance(experiment[-1], MethodOptions) else experiment
    return experiment


def same(value, read):
    """Whether an option is what was written: of the same kind, but for a single one in place of a list of one."""
    if isinstance(read, tuple):
        return all(map(same, value, read)) if isinstance(value, list) else len(read) == 1 and same(value, read[0])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return isinstance(read, int | float) and not isinstance(read, bool) and value == read
    return type(value) is type(read) and value == read


def tried(content):
    """The experiment, or the sentence that refuses it."""
    try:
        return experiment_from(content), ""
    except InputError as error:
        return None, str(error)


def test_a_value_of_another_type_is_refused_in_one_sentence_or_read_as_it_is():
    cases = [(key, kind) for key in KEYS for kind in OTHER]
    drawn = np.random.default_rng(0).permutation(len(cases))[:400]
    counted = {"refused": 0, "read": 0}
    for key, kind in (cases[number] for number in drawn):
        value = OTHER[kind]
        experiment, words = tried(with_value(key, value))
        if experiment is None:
            counted["refused"] += 1
            assert words.endswith("."), (key, kind, words)
            assert "\n" not in words, (key, kind, words)
            assert len(words) < 500, (key, kind)
            continue
        counted["read"] += 1
        read = found_at(experiment, key)
        group = hasattr(type(read), "model_fields") or hasattr(type(read), "__dataclass_fields__")
        assert group or same(value, read), (key, kind, value, read)
        assert experiment_from(yaml.safe_load(dump(experiment))) == experiment, (key, kind)
    assert counted["refused"] > 300
    assert counted["read"] > 5


def numbers_and_switches():
    for key in KEYS:
        # A group that stands in a list is one of them.
        kinds = choices(hint_at(Experiment, key.replace("methods.", "methods.0.").split(".")))
        if {int, float} & {*kinds} and bool not in kinds:
            yield key, True
        elif kinds == [bool]:
            yield key, 1


@pytest.mark.parametrize(("key", "value"), [*numbers_and_switches()])
def test_true_is_no_number_and_one_is_not_true(key, value):
    with pytest.raises(InputError, match=rf"Option '{key.replace('methods', 'methods.0')}' is {value}; it must be"):
        experiment_from(with_value(key, value))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"seeds": [0, True]}, "Option 'seeds.1' is True; it must be a whole number"),
        ({"teacher": {"classes": [True, False]}}, "'teacher.classes.0' is True; it must be a text; YAML reads yes, no"),
        ({"teacher": {"classes": [1]}}, "Option 'teacher.classes.0' is 1; it must be a text, in quotes: \"1\"."),
        (
            {"teacher": {"aliases": {None: "a"}}},
            "has a key without a name, as YAML reads a `?` without quotes; write '?' in",
        ),
        ({"teacher": {"aliases": {True: "a"}}}, "Option 'teacher.aliases' has the key True; write keys in quotes"),
        ({"teacher": {"others": [{"folds": True}]}}, "Option 'teacher.others.0.folds' is True; it must be a whole"),
        ({"teacher": ["linear", {"folds": True}]}, "'teacher.1.folds' is True"),
        ({"data": {"files": {}, "unknown_is_foreign": 0}}, "Option 'data.unknown_is_foreign' is 0; it must be true"),
        ({"train": None}, "Option 'train' is None; it must be a group of options: epochs, batch_size"),
        ({"train": {"ema": math.inf}}, "Option 'train.ema' is inf: input should be less than 1."),
        ({"methods": [{"method": "slam", "rounds": True}]}, "Option 'methods.0.rounds' is True; it must be a group"),
        ({"methods": [{"method": "slam", "train": {"epochs": True}}]}, "'methods.slam.train.epochs' is True"),
        ({"methods": [{"method": "slam", "options": {"noise.prior": True}}]}, "'noise.prior' is True; it must be"),
        ({"methods": [{"method": "slam", "options": {"pool.loss.normalized": 1}}]}, "is 1; it must be true or false"),
        ({"student": {"options": {"a": math.nan}}}, "Option 'student.options.a' is nan"),
        ({"name": datetime.date(2024, 1, 2)}, "Option 'name' is read by YAML as a date; write it in quotes"),
    ],
)
def test_what_is_wrong_and_what_to_write_instead(content, words):
    with pytest.raises(InputError) as refused:
        experiment_from({**with_value("name", "a"), **content})
    assert words in str(refused.value)


def test_options_in_python_are_of_the_same_types():
    with pytest.raises(InputError, match="Option 'epochs' is True; it must be a whole number above 0"):
        TrainOptions(epochs=True)
    assert TrainOptions(learning_rate="1e-3").learning_rate == 0.001  # YAML reads it as a text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("teacher.options", {"C": math.inf}),
        ("data.files.all.max_unpacked_gb", math.inf),
        ("train.checkpoint_seconds", math.inf),
    ],
)
def test_infinity_is_kept(key, value):
    experiment = experiment_from(with_value(key, value))
    assert found_at(experiment, key) == value
    assert experiment_from(yaml.safe_load(dump(experiment))) == experiment


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train: {epochs: 1}\nseeds: [0]\ntrain: {epochs: 2}\n", "has 'train' twice; write it once."),
        ("train:\n  epochs: 1\n  'epochs': 2\n", "has 'epochs' twice; write it once."),
        ("data: &a [*a]\n", "Option 'data' holds itself"),
        (
            "a: &a [x, x, x, x]\n"
            + "".join(f"{b}: &{b} [{', '.join(10 * [f'*{a}'])}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)),
            "more than 100000 values",
        ),
        ("seeds: [" + "1" * 5000 + "]\n", "holds a value that YAML cannot read"),
        ("seeds: " + "[" * 500 + "]" * 500, "holds a value that YAML cannot read"),
        ("a: 2024-02-31\n", "holds a value that YAML cannot read"),
    ],
)
def test_yaml_that_python_cannot_hold_is_one_sentence(tmp_path, text, words):
    (tmp_path / "e.yaml").write_text(text)
    with pytest.raises(InputError) as refused:
        load(tmp_path / "e.yaml")
    assert words in str(refused.value)
