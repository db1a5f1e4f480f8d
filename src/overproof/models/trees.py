"""Checks of scikit-learn's trees in an archive: their numbers are used as places in memory without another check."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from overproof.errors import InputError


def check_trees(estimator: Any, who: str) -> None:
    """Check that every tree in a loaded estimator leads from a node to later nodes and reads features that there are.

    Args:
        estimator: Loaded from an archive.
        who: What to call it in errors.

    Raises:
        InputError: One does not.
    """
    known = getattr(estimator, "n_features_in_", None)
    for nodes, names, end in _trees(estimator):
        left, right, feature = (np.asarray(nodes[name]).astype(np.int64) for name in names)
        place = np.arange(len(nodes))
        inner = left != end if "is_leaf" not in (nodes.dtype.names or ()) else nodes["is_leaf"] == 0
        later = (left > place) & (right > place) & (left < len(nodes)) & (right < len(nodes))
        there = (feature >= 0) & (feature < (np.inf if known is None else known))
        if len(nodes) == 0 or not (later & there)[inner].all():
            raise InputError(f"{who} holds a damaged tree: its nodes lead to places that are not there.")


def _trees(estimator: Any) -> Iterator[tuple[Any, tuple[str, str, str], int]]:
    """The nodes of all trees, with the names of left, right and feature, and the number that ends a path."""
    left, seen = [estimator], set[int]()
    while left:
        each = left.pop()
        if id(each) in seen or isinstance(each, str | bytes | int | float | None):
            continue
        seen.add(id(each))
        kind = f"{type(each).__module__}.{type(each).__name__}"
        if kind == "sklearn.tree._tree.Tree":
            yield each.__getstate__()["nodes"], ("left_child", "right_child", "feature"), -1
        elif kind.endswith(".TreePredictor"):
            yield each.nodes, ("left", "right", "feature_idx"), 0
        elif isinstance(each, Mapping):
            left += each.values()
        elif isinstance(each, list | tuple | set):
            left += each
        elif isinstance(each, np.ndarray):
            left += each.ravel().tolist() if each.dtype.hasobject else []
        elif type(each).__module__.startswith("sklearn."):
            left += getattr(each, "__dict__", {}).values()
