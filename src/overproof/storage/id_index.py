"""Rows found by content id, by binary search."""

import numpy as np
from jaxtyping import Bool, Int64
from numpy.typing import NDArray


class IdIndex:
    """Finds the rows of examples by their content ids; of equal ids the first row.

    Args:
        ids: [N], content ids of 16 bytes, in any order.

    Example:
        >>> ids = np.array([b"b" * 16, b"a" * 16])
        >>> rows, known = IdIndex(ids).find(np.array([b"a" * 16, b"b" * 16, b"c" * 16]))
        >>> rows[known].tolist(), known.tolist()
        ([1, 0], [True, True, False])
    """

    def __init__(self, ids: NDArray[np.generic]) -> None:
        text = _as_text(ids)
        self._order = np.argsort(text, kind="stable")
        self._sorted = text[self._order]

    def __len__(self) -> int:
        return len(self._order)

    def find(self, ids: NDArray[np.generic]) -> tuple[Int64[np.ndarray, "M"], Bool[np.ndarray, "M"]]:
        """The row of each id, and whether it is there; the row of an id that is not there means nothing.

        Args:
            ids: [M], content ids of 16 bytes.
        """
        text = _as_text(ids)
        if len(self) == 0:
            return np.zeros(len(text), np.int64), np.zeros(len(text), bool)
        place = np.searchsorted(self._sorted, text).clip(max=len(self) - 1)
        return self._order[place], self._sorted[place] == text


def _as_text(ids: NDArray[np.generic]) -> np.ndarray:
    # As text of fixed length, which NumPy sorts twice as fast as void.
    return np.ascontiguousarray(ids).view("S16")
