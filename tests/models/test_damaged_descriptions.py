"""A student.json of an earlier version, without a manifest, whose values have other types: one sentence at loading."""

import json
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest

import overproof
from overproof.errors import InputError
from overproof.models import ModelSpec, load_student
from overproof.storage.manifest import MANIFEST
from overproof.training.options import TrainOptions

WRONG = ("x", -1, 1.5, True, None, [], {}, [1], ["a", "a"], [None], {"a": 1})


def table():
    draw = np.random.default_rng(0)
    numbers = [None, *draw.normal(size=59).tolist()]
    times = pa.array(draw.integers(10**15, 2 * 10**15, 60), pa.timestamp("us"))
    colours = [["red", "blue"][each] for each in draw.integers(2, size=60)]
    return pa.table({"a": numbers, "b": draw.normal(size=60), "when": times, "c": colours, "none": pa.nulls(60)})


def inputs_of(kind):
    if kind == "table":
        return table()
    if kind == "text":
        return [f"text {i} about {i % 7} things" for i in range(60)]
    return np.random.default_rng(0).integers(0, 256, size=(60, 1, 8, 8), dtype=np.uint8)


def leaves(value, path=()):
    """Every place of a JSON value, the inner ones first."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield from leaves(each, (*path, key))
    if path:
        yield path


def with_value(content, path, value):
    copy = json.loads(json.dumps(content))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copy


@pytest.fixture(scope="module", params=["table", "text", "image"])
def saved(request, tmp_path_factory):
    inputs, folder = inputs_of(request.param), tmp_path_factory.mktemp("saved") / "student"
    examples = overproof.data.from_arrays(inputs, missing="allow")
    given = examples if request.param == "table" else inputs
    label, probs = np.arange(60) % 2, np.full((60, 2), 0.5, np.float32)
    student = {"table": "mlp", "text": ModelSpec(name="ngram", options={"buckets": 256}), "image": "linear"}[
        request.param
    ]
    result = overproof.distill(
        student, given, probs, given, label, probs, method="labelled_only", train=TrainOptions(epochs=1)
    )
    result.student.save(folder)
    (folder / MANIFEST).unlink()
    content = json.loads((folder / "student.json").read_text())
    content.pop("manifest")
    return folder, content, examples


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_wrong_type_is_one_sentence_at_loading_and_never_a_traceback(saved):
    folder, content, examples = saved
    (folder / "student.json").write_text(json.dumps(content))
    assert load_student(folder).probs(examples).shape == (60, 2)
    accepted, tried, sentences = 0, 0, set()
    for path in leaves(content):
        for value in WRONG:
            (folder / "student.json").write_text(json.dumps(with_value(content, path, value)))
            tried += 1
            try:
                student = load_student(folder)
            except InputError as error:
                sentences.add(str(error))
            else:
                accepted += 1
                with suppress(InputError):
                    student.probs(examples)
    assert all("student.json" in each or "eights" in each or "ption" in each for each in sentences), sentences
    assert accepted < 0.2 * tried


@pytest.mark.parametrize("saved", ["image"], indirect=True)
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), True, "has format True; this version reads 1"),
        (("format",), 1.0, r"has format 1\.0; this version reads 1"),
        (("student",), ["linear"], r"student is \['linear'\]; an object with fields is needed"),
        (("student", "name"), 1, "student has name 1; str is needed"),
        (("student", "options"), [], r"student has options \[\]; Mapping"),
        (("weights",), "student.safetensors", "weights is 'student.safetensors'; an object with fields is needed"),
        (("weights", "file"), 7, "weights has file 7; str is needed"),
        (("weights", "file"), "other.safetensors", "weights has file 'other.safetensors'; 'student.safetensors' is"),
        (("weights", "num_bytes"), True, "weights has num_bytes True; int is needed"),
        (("weights", "num_bytes"), "720", "weights has num_bytes '720'; int is needed"),
        (("weights", "blake2b"), None, "weights has blake2b None; str is needed"),
    ],
)
def test_what_a_student_is_made_of_names_what_is_wrong(saved, path, value, message):
    folder, content, _ = saved
    (folder / "student.json").write_text(json.dumps(with_value(content, path, value)))
    with pytest.raises(InputError, match=message):
        load_student(folder)


@pytest.mark.parametrize("saved", ["table"], indirect=True)
@pytest.mark.parametrize(
    ("column", "field", "value", "message"),
    [
        (0, "mean", "0.5", "column 0 has mean '0.5'; float is needed"),
        (0, "std", [1], r"column 0 has std \[1\]; float is needed"),
        (0, "std", -1.0, "column 0 has std -1.0; it must be at least 0"),
        (0, "gaps", 1, "column 0 has gaps 1; bool is needed"),
        (2, "daily", "yes", "column 2 has daily 'yes'; bool is needed"),
        (3, "categories", "red", "column 3 has categories 'red'; a list is needed"),
        (3, "categories", [1, 2], "column 3 has categories 1; str is needed"),
        (3, "family", "words", "column 3 has family 'words'"),
        (4, "name", 7, "column 4 has name 7; str is needed"),
        (4, "name", "a", "the list of columns has a name twice"),
        (4, "size", 7, "column 4 has an unknown field 'size'"),
    ],
)
def test_the_columns_of_a_table_name_what_is_wrong(saved, column, field, value, message):
    folder, content, _ = saved
    path = ("encoder", "columns", column, field)
    (folder / "student.json").write_text(json.dumps(with_value(content, path, value)))
    with pytest.raises(InputError, match=f"student.json does not describe a student .*{message}"):
        load_student(folder)
