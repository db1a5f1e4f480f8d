"""Data frames, lists and named labels in Python are read as a file of them would be, or refused in one sentence."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import overproof
from overproof.data import from_arrays
from overproof.data.frames import label_array
from overproof.errors import InputError
from overproof.synthetic import blobs
from overproof.training.options import TrainOptions

NAMES = ["cat", "dog", "eel"]
FEW, POOL = slice(0, 60), slice(60, 200)


class Frame:
    """What Arrow and this package need of a data frame of another library: columns, and a stream of Arrow batches."""

    def __init__(self, table: pa.Table):
        self.table, self.columns = table, table.column_names

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


@pytest.fixture(scope="module")
def world():
    made = blobs(num_examples=200, num_classes=3, seed=0)
    named = np.array(NAMES)[made.label.numpy()]
    table = pa.table(
        {
            "a": made.inputs[:, 0].numpy(),
            "b": made.inputs[:, 1].numpy(),
            "word": pa.array(named).dictionary_encode().cast(pa.dictionary(pa.int32(), pa.string_view())),
            "day": pa.array(np.datetime64("2020-01-01") + np.arange(200)),
        }
    )
    return made, table, named


def trained(labels, probs, few_probs, few, pool, **options):
    return overproof.distill(
        "linear", pool, probs, few, labels, few_probs, train=TrainOptions(epochs=2), method="hard", **options
    ).student


def test_a_frame_is_read_by_its_columns(world):
    made, table, _ = world
    few, pool, probs = Frame(table[FEW]), Frame(table[POOL]), made.teacher_probs
    student = trained(made.label[FEW], probs[POOL], probs[FEW], few, pool)
    assert [column.name for column in student.encoder.columns] == ["a", "b", "word", "day"]
    in_arrow = trained(made.label[FEW], probs[POOL], probs[FEW], table[FEW], table[POOL])
    assert torch.equal(student.logits(Frame(table)), in_arrow.logits(table))


def test_named_labels_need_the_order_of_the_columns(world):
    made, table, named = world
    probs = made.teacher_probs
    with pytest.raises(InputError, match=r"class_names=\['cat', 'dog', 'eel'\]"):
        trained(named[FEW], probs[POOL], probs[FEW], table[FEW], table[POOL])
    by_name = trained(list(named[FEW]), probs[POOL], probs[FEW], table[FEW], table[POOL], class_names=NAMES)
    by_number = trained(made.label[FEW], probs[POOL], probs[FEW], table[FEW], table[POOL], class_names=NAMES)
    assert torch.equal(by_name.logits(table), by_number.logits(table))


def test_columns_of_probabilities_are_matched_by_name(world):
    made, table, named = world
    columns = dict(zip(NAMES, made.teacher_probs.T.numpy(), strict=True))
    probs = pa.table(columns)
    turned = probs.select(["eel", "cat", "dog"])
    first = trained(named[FEW], probs[POOL], probs[FEW], table[FEW], table[POOL])
    second = trained(named[FEW], probs[POOL], turned[FEW], table[FEW], table[POOL])
    assert first.class_names == tuple(NAMES)
    assert torch.equal(first.logits(table), second.logits(table))
    other = probs.rename_columns(["cat", "dog", "cow"])
    with pytest.raises(InputError, match="missing classes 'eel' and extra classes 'cow'"):
        trained(named[FEW], probs[POOL], other[FEW], table[FEW], table[POOL])


def test_a_classifier_takes_named_labels(world):
    _, table, named = world
    numbers = table.select(["a", "b"])
    student = overproof.distill(
        "linear", numbers[POOL], LogisticRegression(), numbers[FEW], named[FEW], train=TrainOptions(epochs=1)
    ).student
    assert student.class_names == tuple(NAMES)
    doubtful = ["?", *named[FEW][1:]]
    with pytest.raises(InputError, match="the label '\\?' in row 0"):
        overproof.distill("linear", numbers[POOL], LogisticRegression(), numbers[FEW], doubtful)
    twice = overproof.self_distill(
        "linear", numbers[POOL], named[POOL], held_out=numbers[FEW], held_out_labels=named[FEW],
        train=TrainOptions(epochs=1),
    )  # fmt: skip
    assert twice.student.class_names == tuple(NAMES)


def test_a_frame_may_have_gaps_and_an_array_may_not(world):
    made, table, _ = world
    gap = table.set_column(0, "a", pa.array([None, *table["a"].to_pylist()[1:]]))
    probs = made.teacher_probs
    student = trained(made.label[FEW], probs[POOL], probs[FEW], Frame(gap[FEW]), gap[POOL])
    allowed = from_arrays(Frame(gap), missing="allow")
    assert torch.equal(student.logits(gap), student.logits(allowed))
    assert student.logits(gap).isfinite().all()
    numbers = made.inputs.clone()
    numbers[0, 0] = float("nan")
    with pytest.raises(InputError, match=r"column 'f0', row 0 .*from_arrays\(…, missing='allow'\)"):
        trained(made.label[FEW], probs[POOL], probs[FEW], numbers[FEW], numbers[POOL])


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        ([1, None, 0], [1, -1, 0]),
        ([1.0, 0.0], [1, 0]),
        ([1.0, float("nan")], [1, -1]),
        (np.array([2.0, 1.0]), [2, 1]),
        (np.array([0.5, 1.0]), [0.5, 1.0]),
        (["a", None], ["a", None]),
        (pa.chunked_array([["a"], ["b"]]), ["a", "b"]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        ([True, False], [1, 0]),
    ],
)
def test_labels_of_lists_and_series(labels, wanted):
    assert label_array(labels).tolist() == wanted


def test_an_unknown_label_is_named_by_its_row(world):
    made, table, _ = world
    probs = made.teacher_probs
    labels = made.label[FEW].tolist()
    labels[7] = None
    with pytest.raises(InputError, match="labels, row 7: the label is unknown"):
        trained(labels, probs[POOL], probs[FEW], table[FEW], table[POOL])
    labels[7] = "cat"
    with pytest.raises(InputError, match="all labels must be strings"):
        trained(labels, probs[POOL], probs[FEW], table[FEW], table[POOL])
    with pytest.raises(InputError, match="must hold probabilities as numbers"):
        trained(made.label[FEW], probs[POOL].numpy().astype(str), probs[FEW], table[FEW], table[POOL])


def test_lists_of_lists_are_a_matrix():
    assert from_arrays([[1, 2], [3, 4.5]]).inputs.to_pydict() == {"f0": [1.0, 3.0], "f1": [2.0, 4.5]}
    with pytest.raises(InputError, match="several lengths"):
        from_arrays([[1, 2], [3]])


def test_the_package_does_not_import_data_frame_libraries():
    source = Path(overproof.__file__).parent
    imports = re.compile(r"^\s*(import|from) (pandas|polars)\b", re.MULTILINE)
    assert not [path for path in source.rglob("*.py") if imports.search(path.read_text())]


def test_pandas_itself(world):
    pandas = pytest.importorskip("pandas")
    made, table, named = world
    frame = pandas.DataFrame({"a": table["a"].to_pylist(), "c": pandas.Categorical(named)})
    frame = frame.sample(frac=1, random_state=0)
    order = torch.from_numpy(frame.index.to_numpy().copy())
    probs = made.teacher_probs[order]
    student = trained(made.label[order][FEW], probs[POOL], probs[FEW], frame[FEW], frame[POOL])
    assert [column.name for column in student.encoder.columns] == ["a", "c"]
    with pytest.raises(InputError, match=r"give labels.loc\[labelled.index\]"):
        trained(pandas.Series(named)[frame.index][FEW].sort_index(), probs[POOL], probs[FEW], frame[FEW], frame[POOL])
    # Also where the labels are a column of the frame, and where an answer is missing.
    frame["y"] = [word if row < 60 else None for row, word in enumerate(pandas.Series(named)[frame.index])]
    said = pandas.Series(named)[frame.index].where(frame.index != 3, None)
    student = overproof.distill("linear", frame, said, labels="y", method="hard", train={"epochs": 1}).student
    assert [column.name for column in student.encoder.columns] == ["a", "c"]
    with pytest.raises(InputError, match=r"give teacher_probs.loc\[pool.index\]"):
        overproof.distill("linear", frame, said.sort_index(), labels="y", method="hard", train={"epochs": 1})
