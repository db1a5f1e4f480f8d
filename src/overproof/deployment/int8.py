"""A graph with weights of eight bits, and what that costs on labelled examples."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from overproof.data import Examples
from overproof.deployment.graph import graph_logits, need_onnx
from overproof.evaluation.metrics import correct
from overproof.functional.intervals import accuracy_interval, paired_difference
from overproof.models import Student


@dataclass(frozen=True, kw_only=True, slots=True)
class Int8Cost:
    """What eight bits cost on labelled examples; intervals hold at 95 %.

    Args:
        num_examples: How many.
        accuracy: Of the float32 graph.
        accuracy_int8: Of the other, with `accuracy_int8_low` and `accuracy_int8_high`.
        difference: The second less the first, paired by example, with `low` and `high`.
        num_changed: Examples of which they name different classes.
    """

    num_examples: int
    accuracy: float
    accuracy_int8: float
    accuracy_int8_low: float
    accuracy_int8_high: float
    difference: float
    low: float
    high: float
    num_changed: int


def quantised(graph: bytes) -> bytes:
    """The graph with its weights as int8 and its activations quantised as they come (onnxruntime's dynamic way).

    Args:
        graph: As `overproof.deployment.graph.onnx_bytes` wrote it.

    Raises:
        InputError: The packages of the extra `onnx` are missing.
    """
    need_onnx()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # It reads and writes files only.
    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, result = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(graph)
        quantize_dynamic(source, result, weight_type=QuantType.QInt8)
        return result.read_bytes()


def int8_cost(graph: bytes, small: bytes, student: Student, examples: Examples) -> Int8Cost:
    """Both graphs on the same labelled examples.

    Args:
        graph: With float32 weights.
        small: What `quantised` made of it.
        student: Who encodes what stays outside of the graphs.
        examples: All with known labels, in the student's classes.
    """
    whole, rough = graph_logits([graph, small], student, examples)
    right, right_small = correct(whole, examples.label), correct(rough, examples.label)
    difference, low, high = paired_difference(right, right_small)
    ends = accuracy_interval(int(right_small.sum()), len(examples))
    return Int8Cost(
        num_examples=len(examples),
        accuracy=right.double().mean().item(),
        accuracy_int8=right_small.double().mean().item(),
        accuracy_int8_low=ends[0],
        accuracy_int8_high=ends[1],
        difference=difference,
        low=low,
        high=high,
        num_changed=int((whole.argmax(dim=1) != rough.argmax(dim=1)).sum()),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's notices, which go to the root logger, from the caller."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(level)
