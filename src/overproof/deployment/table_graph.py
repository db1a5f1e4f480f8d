"""The encoding of a table as ONNX nodes: each column an input of its own, scaled or one-hot as the student does it."""

import re

import numpy as np

from overproof.deployment.nodes import ML, Nodes
from overproof.models import TableEncoder
from overproof.models.tables import Number, Words

_TAKEN = re.compile("logits|probs|(student|module)/.*")
"""Names of outputs and inner values."""


def column_inputs(encoder: TableEncoder) -> list[tuple[str, str, str]]:
    """Name, type and meaning of each column's input; one called like another value gets an underscore behind it."""
    described = []
    for column in encoder.columns:
        name = f"{column.name}_" if _TAKEN.fullmatch(column.name) else column.name
        if isinstance(column, Number):
            described.append((name, "float64", "a number; NaN where it is missing"))
            continue
        words = "'true' or 'false'" if column.family == "booleans" else "a word"
        described.append((name, "str", f"{words}; {missing_word(column)!r} where it is missing"))
    return described


def missing_word(column: Words) -> str:
    """What stands for a missing word: the empty one, or the first of `?`, `??`, … where that is a category."""
    words = ("?" * length for length in range(len(column.categories) + 1))
    return next(word for word in words if word not in column.categories)


def encode_table(nodes: Nodes, encoder: TableEncoder) -> str:
    """Add the encoding of a table's columns; the name of the matrix float32 [batch, D].

    Args:
        nodes: Where to.
        encoder: What the student encodes with.
    """
    inputs = [name for name, _, _ in column_inputs(encoder)]
    blocks = [
        block
        for column, name in zip(encoder.columns, inputs, strict=True)
        for block in (_number(nodes, column, name) if isinstance(column, Number) else [_words(nodes, column, name)])
    ]
    return nodes.beside(blocks)


def _number(nodes: Nodes, column: Number, name: str) -> list[str]:
    """(value - mean) / std in double precision, as the student's encoder; 0 for a gap, and a slot that says so."""
    gap, axis = nodes.add("IsNaN", name), nodes.constant(np.array([1]))
    centred = nodes.add("Sub", name, nodes.constant(np.float64(column.mean)))
    scaled = nodes.add("Div", centred, nodes.constant(np.float64(column.std)))
    filled = nodes.add("Where", gap, nodes.constant(np.float64(0)), scaled)
    slots = [filled, gap] if column.gaps else [filled]
    return [nodes.float32(nodes.add("Unsqueeze", slot, axis)) for slot in slots]


def _words(nodes: Nodes, column: Words, name: str) -> str:
    """The place of a word among the categories, the last place for any other, one-hot."""
    place = nodes.add(
        "LabelEncoder",
        name,
        domain=ML,
        # A lookup may not be empty; a column without a category has one slot, which every word takes.
        keys_strings=list(column.categories) or [""],
        values_int64s=list(range(len(column.categories))) or [0],
        default_int64=len(column.categories),
    )
    depth, off_and_on = nodes.constant(np.array(column.width)), nodes.constant(np.array([0, 1], np.float32))
    return nodes.add("OneHot", place, depth, off_and_on, axis=-1)
