"""Convert the encoding of a table to ONNX nodes: one input per column, scaled or one-hot as in the student."""

import re

import numpy as np

from overproof.deployment.nodes import ML, Nodes
from overproof.models import TableEncoder
from overproof.models.date_column import DateColumn
from overproof.models.tables import CategoryColumn, EmptyColumn, NumberColumn, TableColumn

_TAKEN = re.compile("logits|probs|(student|module)/.*")
"""Names of outputs and inner values."""


NO_TIME = np.int64(-(2**63))
"""The value of a missing point in time."""


def columns_read(encoder: TableEncoder) -> list[TableColumn]:
    """The columns that are encoded, and therefore have an input."""
    return [column for column in encoder.columns if not isinstance(column, EmptyColumn)]


def column_inputs(encoder: TableEncoder) -> list[tuple[str, str, str]]:
    """Name, type and meaning of each column's input; a reserved name gets a trailing underscore."""
    described = []
    for column in columns_read(encoder):
        name = f"{column.name}_" if _TAKEN.fullmatch(column.name) else column.name
        if isinstance(column, NumberColumn):
            gap = "NaN where it is missing" if column.gaps else "never missing in training: NaN is read as its mean"
            described.append((name, "float64", f"a number; {gap}"))
            continue
        if isinstance(column, DateColumn):
            gap = "where it is missing" if column.gaps else "is read as the mean; it was never missing in training"
            described.append((name, "int64", f"microseconds since 1970, UTC; {NO_TIME} {gap}"))
            continue
        assert isinstance(column, CategoryColumn)
        values = "'true' or 'false'" if column.family == "booleans" else "a string"
        described.append((name, "str", f"{values}; {missing_word(column)!r} where it is missing"))
    return described


def missing_word(column: CategoryColumn) -> str:
    """The string for a missing category: the first of the empty string, `?`, `??`, … that is not a category."""
    words = ("?" * length for length in range(len(column.categories) + 1))
    return next(word for word in words if word not in column.categories)


def encode_table(nodes: Nodes, encoder: TableEncoder) -> str:
    """Add the nodes that encode a table's columns; returns the name of the matrix, float32 [batch, D].

    Args:
        nodes: The list they are added to.
        encoder: The student's encoder.
    """
    inputs = [name for name, _, _ in column_inputs(encoder)]
    blocks = [
        block
        for column, name in zip(columns_read(encoder), inputs, strict=True)
        for block in _blocks(nodes, column, name)
    ]
    return nodes.beside(blocks)


def _blocks(nodes: Nodes, column: TableColumn, name: str) -> list[str]:
    if isinstance(column, NumberColumn):
        return _number(nodes, column, name)
    if isinstance(column, DateColumn):
        return _moment(nodes, column, name)
    assert isinstance(column, CategoryColumn)
    return [_words(nodes, column, name)]


def _moment(nodes: Nodes, column: DateColumn, name: str) -> list[str]:
    """The scaled time and its phases within week, year and day; 0 where missing, and an indicator of missing values."""
    gap, axis = nodes.add("Equal", name, nodes.constant(NO_TIME)), nodes.constant(np.array([1]))
    time = nodes.add("Where", gap, nodes.constant(np.int64(0)), name)
    slots = [_scaled(nodes, nodes.float64(time), column.mean, column.std)]
    for shift, turn in column.circles():
        share = nodes.float64(nodes.add("Mod", nodes.add("Sub", time, nodes.constant(shift)), nodes.constant(turn)))
        # In double precision, as in the encoder: trees have thresholds at exactly the values of the training data.
        angle = nodes.add("Mul", nodes.add("Div", share, nodes.constant(np.float64(turn))), nodes.constant(2 * np.pi))
        # Not every build of onnxruntime has a cosine in double precision.
        slots += [nodes.add("Sin", each) for each in (angle, nodes.add("Add", angle, nodes.constant(np.pi / 2)))]
    nothing = nodes.constant(np.float32(0))
    filled = [nodes.add("Where", gap, nothing, nodes.float32(slot)) for slot in slots]
    return [nodes.float32(nodes.add("Unsqueeze", slot, axis)) for slot in [*filled, *([gap] if column.gaps else [])]]


def _scaled(nodes: Nodes, value: str, mean: float, std: float) -> str:
    """(value - mean) / std; 0 where all values in the training data were equal."""
    centred = nodes.add("Sub", value, nodes.constant(np.float64(mean)))
    if std == 0:
        return nodes.add("Mul", centred, nodes.constant(np.float64(0)))
    return nodes.add("Div", centred, nodes.constant(np.float64(std)))


def _number(nodes: Nodes, column: NumberColumn, name: str) -> list[str]:
    """(value - mean) / std in double precision, as in the encoder; 0 and an indicator where missing."""
    gap, axis = nodes.add("IsNaN", name), nodes.constant(np.array([1]))
    scaled = _scaled(nodes, name, column.mean, column.std)
    filled = nodes.add("Where", gap, nodes.constant(np.float64(0)), scaled)
    slots = [filled, gap] if column.gaps else [filled]
    return [nodes.float32(nodes.add("Unsqueeze", slot, axis)) for slot in slots]


def _words(nodes: Nodes, column: CategoryColumn, name: str) -> str:
    """The index of the category, one-hot; the last index is for unknown categories."""
    place = nodes.add(
        "LabelEncoder",
        name,
        domain=ML,
        # A lookup may not be empty; a column without categories has one index for every string.
        keys_strings=list(column.categories) or [""],
        values_int64s=list(range(len(column.categories))) or [0],
        default_int64=len(column.categories),
    )
    depth, off_and_on = nodes.constant(np.array(column.width)), nodes.constant(np.array([0, 1], np.float32))
    return nodes.add("OneHot", place, depth, off_and_on, axis=-1)
