"""A list of ONNX nodes being written, each result named by its place and operator."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

ML = "ai.onnx.ml"
"""The operator set of lookups in lists of words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Nodes:
    """Nodes and their constants, in order.

    Args:
        prefix: Begins every name, so that no input's name can meet them.
    """

    prefix: str
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def add(self, operator: str, *inputs: str, result: str = "", domain: str = "", **attributes: Any) -> str:
        """Add a node; the name of its result.

        Args:
            operator: Of the standard set, or of `domain`.
            inputs: Names of values.
            result: What to call the result; by default by place and operator.
            domain: Another operator set.
            attributes: As the operator has them.
        """
        from onnx import helper

        name = result or f"{self.prefix}/{len(self.nodes)}/{operator}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, domain=domain, **attributes))
        return name

    def constant(self, value: Any) -> str:
        """Add a constant; its name.

        Args:
            value: An array, or what NumPy makes one of.
        """
        from onnx import numpy_helper

        name = f"{self.prefix}/constant/{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name))
        return name

    def float32(self, value: str) -> str:
        """Add a cast to float32."""
        from onnx import TensorProto

        return self.add("Cast", value, to=TensorProto.FLOAT)

    def float64(self, value: str) -> str:
        """Add a cast to float64."""
        from onnx import TensorProto

        return self.add("Cast", value, to=TensorProto.DOUBLE)

    def beside(self, values: Sequence[str], result: str = "") -> str:
        """Put matrices side by side."""
        return self.add("Concat", *values, result=result, axis=1)
