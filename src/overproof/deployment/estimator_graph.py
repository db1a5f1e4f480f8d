"""Convert a student's scikit-learn estimator to ONNX nodes with skl2onnx, from encoded examples to logits."""

import importlib.util
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from overproof.data.wording import reason
from overproof.deployment.nodes import ML, Nodes
from overproof.errors import InputError
from overproof.functional import SMALLEST_PROBABILITY
from overproof.models import NgramEncoder, Student, body_of
from overproof.models.estimator import EstimatorBody

_INPUT, _PREFIX = "input", "estimator/"


def add_estimator(nodes: Nodes, student: Student, value: str, *, opset: int, ml_opset: int) -> str:
    """Add the nodes of a student's estimator; returns the name of its logits.

    Args:
        nodes: The list they are added to; the layers before the estimator are in it already.
        student: A student whose body is an estimator.
        value: The name of the encoded examples: numbers, or sets of n-grams.
        opset: The operator set.
        ml_opset: That of `ai.onnx.ml`.

    Raises:
        InputError: skl2onnx is missing, nothing is fitted, or the estimator has a part that cannot be written.
    """
    body, name = body_of(student.module), student.spec.name
    assert body is not None
    if importlib.util.find_spec("skl2onnx") is None:
        raise InputError(
            f"The export of student {name!r} needs the package skl2onnx; install it with: "
            f"pip install 'overproof[onnx]'."
        )
    if body.estimator is None:
        raise InputError(f"Student {name!r} is not fitted yet; there is nothing to export.")
    sets = isinstance(student.encoder, NgramEncoder)
    matrix = _rarities(nodes, body, value) if sets else nodes.add("Flatten", nodes.float32(value), axis=1)
    width = int(body.estimator.n_features_in_)
    answer = _spliced(nodes, _converted(body.estimator, width, name, opset, ml_opset), matrix)
    floor = np.float32(SMALLEST_PROBABILITY)
    logs = nodes.add("Log", nodes.add("Max", nodes.float32(answer), nodes.constant(floor)))
    return _spread(nodes, logs, np.asarray(body.estimator.classes_, np.int64), len(student.class_names))


def _rarities(nodes: Nodes, body: EstimatorBody, ngrams: str) -> str:
    """[B, buckets]: inverse document frequencies of each text's n-grams, of norm one; padding has weight 0."""
    axis = nodes.constant(np.array([1]))
    idf = body.idf.cpu().numpy().copy()
    idf[0] = 0
    rare = nodes.add("Gather", nodes.constant(idf), ngrams)
    squares = nodes.add("ReduceSum", nodes.add("Mul", rare, rare), axis, keepdims=1)
    length = nodes.add("Sqrt", nodes.add("Max", squares, nodes.constant(np.float32(1e-24))))
    rows = nodes.add("Gather", nodes.add("Shape", ngrams), nodes.constant(np.array([0])))
    shape = nodes.add("Concat", rows, nodes.constant(np.array([len(idf)])), axis=0)
    nothing = nodes.add("Expand", nodes.constant(np.zeros((1, 1), np.float32)), shape)
    weights = nodes.add("Div", rare, length)
    return nodes.add("ScatterElements", nothing, ngrams, weights, axis=1, reduction="add")


def _spread(nodes: Nodes, logs: str, seen: np.ndarray, num_classes: int) -> str:
    """Logits of all K classes; those missing from the estimator's training data get the smallest one."""
    if seen.tolist() == list(range(num_classes)):
        return logs
    zero = nodes.add(
        "Mul", nodes.add("Gather", logs, nodes.constant(np.array([0])), axis=1), nodes.constant(np.float32(0))
    )
    least = nodes.add("Add", zero, nodes.constant(np.log(np.float32(SMALLEST_PROBABILITY))))
    place = np.full(num_classes, len(seen))
    place[seen] = np.arange(len(seen))
    return nodes.add("Gather", nodes.beside([logs, least]), nodes.constant(place), axis=1)


def _converted(estimator: Any, width: int, name: str, opset: int, ml_opset: int) -> Any:
    """The estimator as a separate ONNX model: float32 [B, D] in, labels and probabilities out."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    with warnings.catch_warnings():
        # Its warnings are for the authors of the converter.
        warnings.simplefilter("ignore")
        try:
            return convert_sklearn(
                estimator,
                initial_types=[(_INPUT, FloatTensorType([None, width]))],
                options={"zipmap": False},
                target_opset={"": opset, ML: ml_opset},
                custom_conversion_functions=_mended(),
            )
        except Exception as error:
            raise InputError(
                f"Student {name!r} cannot be written as an ONNX graph by skl2onnx ({reason(error)[:200]}); use "
                f"the estimator.skops in its folder instead."
            ) from None


def _spliced(nodes: Nodes, model: Any, value: str) -> str:
    """Add the nodes of a model that its probabilities depend on; returns the name of the probabilities."""
    import onnx.compose

    onnx.compose.add_prefix_graph(model.graph, _PREFIX, inplace=True)
    wanted = model.graph.output[1].name
    needed, kept = {wanted}, []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    nodes.add("Identity", value, result=_PREFIX + _INPUT)
    nodes.nodes.extend(reversed(kept))
    nodes.constants.extend(each for each in model.graph.initializer if each.name in needed)
    return str(wanted)


def _mended() -> Mapping[type, Callable[[Any, Any, Any], None]]:
    """Converters of skl2onnx whose Boolean attributes are written as integers, as recent versions of onnx require."""
    from skl2onnx.common._registration import get_converter
    from sklearn.ensemble import HistGradientBoostingClassifier

    written = get_converter("SklearnHistGradientBoostingClassifier")
    return {
        HistGradientBoostingClassifier: lambda scope, operator, container: written(
            scope, operator, _WholeNumbers(container)
        )
    }


class _WholeNumbers:
    """A container of nodes that converts Boolean attributes to integers."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, *arguments: Any, **attributes: Any) -> None:
        for name, values in attributes.items():
            if isinstance(values, list) and any(isinstance(each, bool | np.bool_) for each in values):
                attributes[name] = [int(each) for each in values]
        self._container.add_node(*arguments, **attributes)
