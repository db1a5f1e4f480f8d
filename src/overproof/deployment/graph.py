"""Convert a student to one ONNX graph, with the scaling and encoding of its inputs, and run such a graph.

    images       `images` uint8 [batch, C, H, W]; the pixel scaling is in the graph
    texts        `ngrams` int64 [batch, length], the buckets of each text padded with 0 (`score.py` makes them), or
                 `tokens` int64 [batch, length] of a tokenizer, or `embeddings` float32 [batch, D] of a frozen encoder,
                 which are both computed outside the graph
    tables       one input [batch] per column, numbers as float64 and categories as strings; scaling, one-hot encoding
                 and missing values are handled in the graph
    plain tables `numbers` float32 [batch, D]

Outputs are `logits` and `probs`, float32 [batch, K]. The metadata holds `class_names` and `inputs` with their meaning.
"""

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float32
from torch import Tensor

from overproof.data import Examples
from overproof.deployment.estimator_graph import add_estimator
from overproof.deployment.layer_graph import add_module
from overproof.deployment.nodes import ML, Nodes
from overproof.deployment.own_module import add_own_module
from overproof.deployment.table_graph import NO_TIME, column_inputs, columns_read, encode_table, missing_word
from overproof.errors import InputError
from overproof.models import ZOO, EmbeddingEncoder, NgramEncoder, Ragged, Student, TableEncoder, TokenEncoder, body_of
from overproof.models.date_column import DateColumn, microseconds
from overproof.models.tables import CategoryColumn, NumberColumn, TableColumn, numbers_of
from overproof.version import __version__

LOGITS, PROBS = "logits", "probs"
"""The outputs."""

OPSET, ML_OPSET, IR_VERSION = 20, 3, 9
"""The versions that torch's exporter writes; onnxruntime reads them since 1.17."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphInput:
    """One input of a graph.

    Args:
        name: Its name in the graph.
        type: NumPy's name of the type; `str` for strings.
        shape: Sizes, or names of dimensions of variable size.
        meaning: A description of the values.
    """

    name: str
    type: str
    shape: tuple[int | str, ...]
    meaning: str


def onnx_bytes(student: Student) -> bytes:
    """The graph of a student as bytes; the same student gives the same bytes.

    A built-in student is written layer by layer; a transformer and a user's own module go through `torch.onnx.export`,
    a scikit-learn estimator through skl2onnx.

    Raises:
        InputError: The packages of the extra `onnx` are missing, or a user's own module cannot be written as a graph
            with a variable batch size.
    """
    need_onnx()
    from onnx import TensorProto, helper

    inputs, nodes = graph_inputs(student), Nodes(prefix="student")
    functions: list[Any] = []
    body = body_of(student.module)
    needs_ml = isinstance(student.encoder, TableEncoder) or body is not None
    value = encode_table(nodes, student.encoder) if isinstance(student.encoder, TableEncoder) else inputs[0].name
    if body is not None:
        for layer in student.module.children() if student.module is not body else ():
            value = value if layer is body else add_module(nodes, layer, value)
        logits = add_estimator(nodes, student, value, opset=OPSET, ml_opset=ML_OPSET)
    elif student.spec.name in ZOO and not isinstance(student.encoder, TokenEncoder):
        logits = add_module(nodes, student.module, value)
    else:
        logits, functions = add_own_module(nodes, student, value, opset=OPSET)
    nodes.add("Softmax", nodes.add("Identity", logits, result=LOGITS), result=PROBS, axis=1)
    types = {
        "float64": TensorProto.DOUBLE,
        "float32": TensorProto.FLOAT,
        "str": TensorProto.STRING,
        "uint8": TensorProto.UINT8,
        "int64": TensorProto.INT64,
    }
    answer: list[str | int] = ["batch", len(student.class_names)]
    graph = helper.make_graph(
        nodes.nodes,
        student.spec.name,
        [helper.make_tensor_value_info(each.name, types[each.type], list(each.shape)) for each in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, answer) for name in (LOGITS, PROBS)],
        nodes.constants,
    )
    opsets = [helper.make_opsetid("", OPSET), *([helper.make_opsetid(ML, ML_OPSET)] if needs_ml else [])]
    model = helper.make_model(
        graph,
        functions=functions,
        opset_imports=opsets,
        ir_version=IR_VERSION,
        producer_name="overproof",
        producer_version=__version__,
    )
    described = {
        "class_names": list(student.class_names),
        "inputs": [{"name": each.name, "type": each.type, "meaning": each.meaning} for each in inputs],
        "student": {"name": student.spec.name, "options": dict(student.spec.options)},
    }
    if isinstance(student.encoder, NgramEncoder | EmbeddingEncoder):
        described["encoder"] = student.encoder.config()
    for key, entry in described.items():
        model.metadata_props.add(key=key, value=json.dumps(entry, ensure_ascii=False))
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def graph_inputs(student: Student) -> tuple[GraphInput, ...]:
    """The inputs of a student's graph."""
    encoder = student.encoder
    if isinstance(encoder, TableEncoder):
        return tuple(
            GraphInput(name=name, type=kind, shape=("batch",), meaning=meaning)
            for name, kind, meaning in column_inputs(encoder)
        )
    if isinstance(encoder, NgramEncoder):
        meaning = "the buckets of each text's n-grams, in any order, padded with 0; score.py makes them"
        return (GraphInput(name="ngrams", type="int64", shape=("batch", "length"), meaning=meaning),)
    if isinstance(encoder, TokenEncoder):
        meaning = f"ids of tokenizer.json, each plus one, at most {encoder.max_tokens} a text, padded with 0"
        return (GraphInput(name="tokens", type="int64", shape=("batch", "length"), meaning=meaning),)
    shape: tuple[int | str, ...] = ("batch", *encoder.input_shape)
    if encoder.kind == "image":
        return (GraphInput(name="images", type="uint8", shape=shape, meaning="pixels, channels first"),)
    if isinstance(encoder, EmbeddingEncoder):
        meaning = f"vectors of the frozen encoder {encoder.embedder} ({encoder.fingerprint})"
        return (GraphInput(name="embeddings", type="float32", shape=shape, meaning=meaning),)
    columns = encoder.config().get("columns", [])
    meaning = f"the columns {', '.join(columns)}, in this order" if columns else "the encoded examples"
    return (GraphInput(name="numbers", type="float32", shape=shape, meaning=meaning),)


def feed(student: Student, examples: Examples) -> dict[str, Any]:
    """Examples as inputs of the student's graph: arrays by name.

    Raises:
        InputError: They are not of the kind and columns the student was built on.
    """
    encoded = student.encode(examples)
    if isinstance(student.encoder, TableEncoder):
        assert isinstance(examples.inputs, pa.Table)
        columns = examples.inputs
        return {
            name: _column(columns.column(column.name), column)
            for (name, _, _), column in zip(column_inputs(student.encoder), columns_read(student.encoder), strict=True)
        }
    batch = encoded.take(torch.arange(len(encoded))) if isinstance(encoded, Ragged) else encoded.values
    return {graph_inputs(student)[0].name: batch.numpy()}


def graph_logits(
    graphs: Sequence[bytes], student: Student, examples: Examples, *, batch_size: int = 256
) -> list[Float32[Tensor, "N K"]]:
    """Logits of raw examples by onnxruntime, on the CPU in one thread; they are encoded once for all graphs.

    Args:
        graphs: Graphs of this student, by `onnx_bytes` or `quantised`.
        student: Encodes what is not encoded in the graph.
        examples: N of them.
        batch_size: Examples per batch.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Errors still raise exceptions.
    options.log_severity_level = 4
    sessions = [onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"]) for graph in graphs]
    logits: list[list[np.ndarray]] = [[np.empty((0, len(student.class_names)), np.float32)] for _ in graphs]
    for rows in torch.arange(len(examples)).split(batch_size):
        inputs = feed(student, examples.take(rows)) if len(rows) else {}
        for parts, session in zip(logits, sessions, strict=True):
            parts += session.run([LOGITS], inputs) if inputs else []
    return [torch.from_numpy(np.concatenate(parts)) for parts in logits]


def need_onnx() -> None:
    """Check that the packages of the extra `onnx` are installed.

    Raises:
        InputError: One is missing.
    """
    for package in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise InputError(f"Export needs the package {package}; install it with: pip install 'overproof[onnx]'.")


def _column(values: pa.ChunkedArray, column: TableColumn) -> np.ndarray:
    if isinstance(column, NumberColumn):
        return numbers_of(values)
    if isinstance(column, DateColumn):
        times, gaps = microseconds(values)
        return np.where(gaps, NO_TIME, times)
    assert isinstance(column, CategoryColumn)
    missing = missing_word(column)
    words = column.words(values).to_pylist()
    return np.array([missing if word is None else word for word in words], object)
