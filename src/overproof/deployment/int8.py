"""Quantise a graph to int8 weights, and measure the change in accuracy on labelled examples."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from overproof.data import Examples, repeats_in
from overproof.deployment.graph import graph_logits, need_onnx
from overproof.evaluation.metrics import correct
from overproof.functional.intervals import accuracy_interval, paired_difference
from overproof.models import Student


@dataclass(frozen=True, kw_only=True, slots=True)
class Int8Cost:
    """The change in accuracy by int8 weights, with 95 % intervals.

    Args:
        num_examples: Number of labelled examples.
        accuracy: Of the float32 graph.
        accuracy_int8: Of the int8 graph, with `accuracy_int8_low` and `accuracy_int8_high`.
        difference: The second less the first, paired by example, with `low` and `high`.
        num_changed: Number of examples whose predicted class differs.
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
    """The graph with int8 weights and dynamically quantised activations, by onnxruntime.

    Args:
        graph: By `overproof.deployment.graph.onnx_bytes`.

    Raises:
        InputError: The packages of the extra `onnx` are missing.
    """
    need_onnx()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # The quantiser reads and writes files only.
    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, result = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(graph)
        quantize_dynamic(source, result, weight_type=QuantType.QInt8)
        return result.read_bytes()


def int8_cost(graph: bytes, small: bytes, student: Student, examples: Examples) -> Int8Cost:
    """Evaluate both graphs on the same labelled examples; each content counts once, intervals count groups.

    Args:
        graph: With float32 weights.
        small: With int8 weights, by `quantised`.
        student: Encodes what is not encoded in the graphs.
        examples: All with known labels, in the student's classes.
    """
    repeats = repeats_in(examples)
    if len(once := repeats.once) < len(examples):
        examples, repeats = examples.take(once), repeats.take(once)
    whole, rough = graph_logits([graph, small], student, examples)
    right, right_small = correct(whole, examples.label), correct(rough, examples.label)
    num = repeats.num_independent
    difference, low, high = paired_difference(right, right_small, num_independent=num)
    ends = accuracy_interval(int(right_small.sum()) / len(examples) * num, num)
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
    """Suppress the quantiser's messages, which go to the root logger."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(level)
