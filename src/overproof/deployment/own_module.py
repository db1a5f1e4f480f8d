"""Convert a transformer or a user's own torch module to ONNX nodes with `torch.onnx.export`."""

import copy
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from overproof.data.wording import reason
from overproof.deployment.nodes import Nodes
from overproof.errors import InputError
from overproof.models import NgramEncoder, Student, TokenEncoder

_INPUT, _ANSWER = "input", "answer"
_PREFIX = "module/"


class _Float32(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, inputs: Tensor) -> Tensor:
        answer: Tensor = self.module(inputs).float()
        return answer


def add_own_module(nodes: Nodes, student: Student, value: str, *, opset: int) -> tuple[str, list[Any]]:
    """Add the nodes of a student's module; returns the name of its output, and the functions that its nodes call.

    Args:
        nodes: The list they are added to.
        student: The student.
        value: The name of the module's input.
        opset: The operator set.

    Raises:
        InputError: onnxscript is missing, or the module cannot be written as a graph with a variable batch size.
    """
    if importlib.util.find_spec("onnxscript") is None:
        raise InputError(
            f"The export of student {student.spec.name!r} needs the package onnxscript; install it with: "
            f"pip install 'overproof[onnx]'."
        )
    import onnx.compose

    model = _traced(student, opset)
    onnx.compose.add_prefix_graph(model.graph, _PREFIX, inplace=True)
    _without_notes(model)
    nodes.add("Identity", value, result=_PREFIX + _INPUT)
    nodes.nodes.extend(model.graph.node)
    nodes.constants.extend(model.graph.initializer)
    return _PREFIX + _ANSWER, list(model.functions)


def _traced(student: Student, opset: int) -> Any:
    ragged = isinstance(student.encoder, NgramEncoder | TokenEncoder)
    if ragged:
        example = torch.tensor([[1, 1, 1], [1, 1, 0]])
    else:
        kind = torch.uint8 if student.kind == "image" else torch.float32
        example = torch.zeros(2, *student.encoder.input_shape, dtype=kind)
    name = student.spec.name
    with _quiet():
        try:
            program = torch.onnx.export(
                _Float32(copy.deepcopy(student.module).cpu()).eval(),
                (example,),
                dynamo=True,
                dynamic_shapes=({0: "batch", 1: "length"} if ragged else {0: "batch"},),
                input_names=[_INPUT],
                output_names=[_ANSWER],
                opset_version=opset,
                verbose=False,
            )
        except Exception as error:
            raise InputError(
                f"Student {name!r} cannot be written as an ONNX graph ({reason(error)}); its module must be one that "
                f"torch.onnx.export supports."
            ) from None
    assert program is not None
    model = program.model_proto
    first = model.graph.input[0].type.tensor_type.shape.dim[0]
    if not first.dim_param:
        raise InputError(
            f"Student {name!r} accepts batches of {first.dim_value} only, as an ONNX graph; its module must not "
            f"depend on the number of rows."
        )
    return model


def _without_notes(model: Any) -> None:
    """Remove the metadata of the exporter: stack traces, which contain paths of this machine."""
    for node in (*model.graph.node, *model.graph.initializer, *model.functions):
        del node.metadata_props[:]
        node.doc_string = ""
    for function in model.functions:
        del function.value_info[:]
        for node in function.node:
            del node.metadata_props[:]
            node.doc_string = ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's log messages and warnings, and restore the random state."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
