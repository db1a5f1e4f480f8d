"""Build a list of ONNX nodes and constants, each named by its position and operator."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

ML = "ai.onnx.ml"
"""The operator set that holds lookups of strings (`LabelEncoder`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Nodes:
    """Nodes and their constants, in order.

    Args:
        prefix: Prefix of every name, so that none is equal to the name of an input.
    """

    prefix: str
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def add(self, operator: str, *inputs: str, result: str = "", domain: str = "", **attributes: Any) -> str:
        """Add a node; returns the name of its result.

        Args:
            operator: Of the standard set, or of `domain`.
            inputs: Names of values.
            result: Name of the result; by default made of position and operator.
            domain: Another operator set.
            attributes: Attributes of the operator.
        """
        from onnx import helper

        name = result or f"{self.prefix}/{len(self.nodes)}/{operator}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, domain=domain, **attributes))
        return name

    def constant(self, value: Any) -> str:
        """Add a constant; returns its name.

        Args:
            value: An array, or anything that NumPy converts to one.
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
        """Concatenate matrices along their columns."""
        return self.add("Concat", *values, result=result, axis=1)
