"""Convert the layers of the built-in students to ONNX nodes, one function per layer."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from overproof.deployment.nodes import Nodes
from overproof.models.layers import Mean, Normalise, Residual, UnitRange
from overproof.models.ngram_bag import LEAST_SQUARE, SCALE, NgramBag


def add_module(nodes: Nodes, module: nn.Module, value: str) -> str:
    """Add the nodes of a module in evaluation mode; returns the name of its output.

    Args:
        nodes: The list they are added to.
        module: A module of a built-in student.
        value: The name of its input.
    """
    return _LAYERS[type(module)](nodes, module, value)


def _sequential(nodes: Nodes, module: Any, value: str) -> str:
    for child in module:
        value = add_module(nodes, child, value)
    return value


def _nothing(nodes: Nodes, module: Any, value: str) -> str:
    return value


def _flatten(nodes: Nodes, module: Any, value: str) -> str:
    assert (module.start_dim, module.end_dim) == (1, -1)
    return nodes.add("Flatten", value, axis=1)


def _linear(nodes: Nodes, module: Any, value: str) -> str:
    return nodes.add("Gemm", value, _held(nodes, module.weight), _held(nodes, module.bias), transB=1)


def _relu(nodes: Nodes, module: Any, value: str) -> str:
    return nodes.add("Relu", value)


def _convolution(nodes: Nodes, module: Any, value: str) -> str:
    assert module.bias is None
    assert (module.groups, module.dilation, module.padding_mode) == (1, (1, 1), "zeros")
    pads = [*module.padding, *module.padding]
    return nodes.add("Conv", value, _held(nodes, module.weight), strides=list(module.stride), pads=pads)


def _batch_norm(nodes: Nodes, module: Any, value: str) -> str:
    parts = (module.weight, module.bias, module.running_mean, module.running_var)
    return nodes.add("BatchNormalization", value, *(_held(nodes, part) for part in parts), epsilon=module.eps)


def _max_pool(nodes: Nodes, module: Any, value: str) -> str:
    assert (module.padding, module.dilation) == (0, 1)
    size, stride = _pair(module.kernel_size), _pair(module.stride)
    return nodes.add("MaxPool", value, kernel_shape=size, strides=stride, ceil_mode=int(module.ceil_mode))


def _mean_pool(nodes: Nodes, module: Any, value: str) -> str:
    assert (_pair(module.padding), module.ceil_mode) == ([0, 0], False)
    return nodes.add("AveragePool", value, kernel_shape=_pair(module.kernel_size), strides=_pair(module.stride))


def _mean(nodes: Nodes, module: Any, value: str) -> str:
    return nodes.add("Flatten", nodes.add("GlobalAveragePool", value), axis=1)


def _residual(nodes: Nodes, module: Any, value: str) -> str:
    changed, carried = add_module(nodes, module.changed, value), add_module(nodes, module.carried, value)
    return nodes.add("Relu", nodes.add("Add", changed, carried))


def _normalise(nodes: Nodes, module: Any, value: str) -> str:
    centred = nodes.add("Sub", nodes.float32(value), _held(nodes, module.mean))
    return nodes.add("Div", centred, _held(nodes, module.std))


def _unit_range(nodes: Nodes, module: Any, value: str) -> str:
    return nodes.add("Div", nodes.float32(value), nodes.constant(np.float32(255)))


def _ngram_bag(nodes: Nodes, module: Any, value: str) -> str:
    """Padding has weight 0; a text without a known n-gram gets the bias only, as in the module."""
    axis = nodes.constant(np.array([1]))
    idf = nodes.add("Gather", _held(nodes, module.idf), value)
    squares = nodes.add("ReduceSum", nodes.add("Mul", idf, idf), axis, keepdims=1)
    length = nodes.add("Sqrt", nodes.add("Max", squares, nodes.constant(np.float32(LEAST_SQUARE))))
    weight = nodes.add("Mul", idf, nodes.add("Div", nodes.constant(np.float32(SCALE)), length))
    rows = nodes.add("Gather", _held(nodes, module.table), value)
    bag = nodes.add("Squeeze", nodes.add("MatMul", nodes.add("Unsqueeze", weight, axis), rows), axis)
    return add_module(nodes, module.head, nodes.add("Add", bag, _held(nodes, module.bias)))


_LAYERS: Mapping[type[nn.Module], Callable[[Nodes, Any, str], str]] = {
    nn.Sequential: _sequential,
    nn.Identity: _nothing,
    nn.Dropout: _nothing,
    nn.Flatten: _flatten,
    nn.Linear: _linear,
    nn.ReLU: _relu,
    nn.Conv2d: _convolution,
    nn.BatchNorm2d: _batch_norm,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _mean_pool,
    Mean: _mean,
    Residual: _residual,
    Normalise: _normalise,
    UnitRange: _unit_range,
    NgramBag: _ngram_bag,
}


def _held(nodes: Nodes, tensor: Tensor) -> str:
    return nodes.constant(tensor.detach().cpu().numpy())


def _pair(size: Any) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size)
