"""What the graph of an ONNX file says: what its output is made by, and which pixels its first operations expect.

Operators are those of the Open Neural Network Exchange (onnx.ai), in its domains `ai.onnx` and `ai.onnx.ml`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from overproof.errors import InputError

Ending = Literal["softmax", "sigmoid", "raw", "unknown"]
"""What the numbers of an output are: of a softmax, of a sigmoid, of a linear layer, or of something else."""

_PASSED = {
    "Identity", "Cast", "CastLike", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Dropout", "Gather",
    "Slice", "Split", "ArrayFeatureExtractor", "ZipMap", "DequantizeLinear", "QuantizeLinear",
}  # fmt: skip
"""Operators whose numbers are those of their first input."""

_LINEAR = {"Gemm", "MatMul", "Conv", "MatMulInteger", "QLinearMatMul", "QLinearConv", "LogSoftmax", "FusedMatMul"}
"""Operators whose numbers are logits, where they come last."""

_POST: Mapping[bytes, Ending] = {
    b"SOFTMAX": "softmax",
    b"SOFTMAX_ZERO": "softmax",
    b"LOGISTIC": "sigmoid",
}
"""By the attribute `post_transform` of `ai.onnx.ml`."""

_LARGEST_UNIT_SCALE = 1 / 50
"""A graph that first multiplies its input by less than this expects 0 to 255, as by 1/255 or 1/127.5."""

_SMALLEST_MEAN = 2.0
"""A graph that first subtracts more than this expects 0 to 255, as a mean of 123.68."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Graph:
    """The operators of a file.

    Args:
        model: As the package onnx reads it, without weights that are kept apart.
    """

    model: Any

    @property
    def half(self) -> str:
        """`float16` or `bfloat16`, where stored weights are of this type; else ""."""
        from onnx import TensorProto

        names = {TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16"}
        return next((names[each.data_type] for each in self.model.graph.initializer if each.data_type in names), "")

    def ending(self, output: str) -> Ending:
        """What the numbers of an output are, by the last operator that changes them.

        Args:
            output: Its name.
        """
        return _Part(self.model.graph, self).ending(output)

    def expects_bytes(self, given: str) -> bool:
        """Whether the graph itself brings pixels 0 to 255 into the range of its weights.

        Args:
            given: The name of the input.
        """
        part = _Part(self.model.graph, self)
        names = {given}
        for node in part.nodes:
            if not names & set(node.input):
                continue
            if node.op_type in _PASSED:
                names |= set(node.output)
                continue
            others = [part.constant(name) for name in node.input if name not in names]
            if len(others) != 1 or others[0] is None or not others[0].size:
                return False
            value = np.abs(others[0].astype(np.float64))
            match node.op_type:
                case "Mul":
                    return bool(0 < value.max() <= _LARGEST_UNIT_SCALE)
                case "Div":
                    return bool(value.min() >= 1 / _LARGEST_UNIT_SCALE)
                case "Sub" | "Add":
                    return bool(value.max() >= _SMALLEST_MEAN)
            return False
        return False


class _Part:
    """A graph or the body of a function."""

    def __init__(self, body: Any, graph: Graph):
        self.nodes = list(getattr(body, "node", ()))
        self._graph = graph
        self._made = {name: node for node in self.nodes for name in node.output if name}
        self._stored = {each.name: each for each in getattr(body, "initializer", ())}

    def constant(self, name: str) -> np.ndarray | None:
        """A stored value that is kept in the file; None for any other, and for weights that are kept apart."""
        from onnx import numpy_helper

        if name in self._stored:
            stored = self._stored[name]
            return None if stored.external_data else np.asarray(numpy_helper.to_array(stored))
        node = self._made.get(name)
        if node is None:
            return None
        if node.op_type in _PASSED and node.input:
            return self.constant(node.input[0])
        if node.op_type != "Constant":
            return None
        for each in node.attribute:
            if each.name == "value" and not each.t.external_data:
                return np.asarray(numpy_helper.to_array(each.t))
            if each.name == "value_float":
                return np.asarray(each.f)
        return None

    def is_constant(self, name: str) -> bool:
        """Whether it does not depend on the input; also for weights that are kept apart."""
        if name in self._stored:
            return True
        node = self._made.get(name)
        if node is None:
            return False
        passed = node.op_type in _PASSED and bool(node.input)
        return node.op_type == "Constant" or (passed and self.is_constant(node.input[0]))

    def ending(self, output: str) -> Ending:
        """As `Graph.ending`."""
        node = self._made.get(output)
        if node is None:
            return "unknown"
        kind = node.op_type
        if function := self._function(node):
            place = list(node.output).index(output)
            return _Part(function, self._graph).ending(function.output[place])
        if kind in _PASSED:
            return self.ending(node.input[0])
        if kind == "Softmax":
            return "softmax"
        if kind in ("Sigmoid", "HardSigmoid"):
            return "sigmoid"
        if kind in _LINEAR:
            return "raw"
        if kind in ("LinearClassifier", "TreeEnsembleClassifier", "SVMClassifier"):
            post = next((each.s for each in node.attribute if each.name == "post_transform"), b"NONE")
            # Trees without a transform may hold probabilities or margins, and a support vector machine either.
            return _POST.get(post, "raw" if kind == "LinearClassifier" else "unknown")
        if kind in ("Add", "Sub", "Mul", "Div"):
            varying = [name for name in node.input if not self.is_constant(name)]
            # A bias or a temperature leaves logits what they are, and makes something else of probabilities.
            return "raw" if varying and all(self.ending(name) == "raw" for name in varying) else "unknown"
        return "unknown"

    def _function(self, node: Any) -> Any:
        named = (each for each in self._graph.model.functions if each.name == node.op_type)
        return next((each for each in named if each.domain == node.domain), None)


def read_graph(path: Path, who: str) -> Graph:
    """The operators of an ONNX file; weights that are kept apart are not read.

    Args:
        path: The file.
        who: What to call the teacher in errors.

    Raises:
        InputError: The package onnx is not installed, or cannot read the file.
    """
    try:
        import onnx
    except ImportError:
        raise InputError(f"{who} needs the package onnx; install it with: pip install 'overproof[onnx]'.") from None
    try:
        return Graph(model=onnx.load(str(path), load_external_data=False))
    except Exception as error:
        raise InputError(f"{who} cannot be read by the package onnx: {type(error).__name__}.") from None


def columns_by_class(outputs: Iterable[Any]) -> dict[str, str]:
    """The class of each output, where a file has one output of numbers for each class.

    scikit-learn's converter writes such files with `zipmap="columns"`: its outputs are called `i` and the number of the
    class, or `s` and its name.

    Args:
        outputs: As the session declares them: name, type and shape.

    Returns:
        Class names by the names of outputs; empty for any other file.
    """
    given = list(outputs)
    labels = [each for each in given if each.type in ("tensor(int64)", "tensor(string)")]
    numbers = [each for each in given if each.type in ("tensor(float)", "tensor(double)") and len(each.shape) == 1]
    if len(labels) != 1 or len(numbers) < 2 or len(labels) + len(numbers) != len(given):
        return {}
    start = "s" if labels[0].type == "tensor(string)" else "i"
    named = all(each.name.startswith(start) for each in numbers)
    return {each.name: each.name[1:] if named else each.name for each in numbers}
