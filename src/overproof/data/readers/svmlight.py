"""Reads files of LIBSVM and SVM-light: a label, and the numbers of the features that are not zero."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from overproof.data.readers.text_files import file_bytes
from overproof.data.source import FLAG, Source
from overproof.data.wording import at_row, reason
from overproof.errors import InputError

LABEL, QUERY = "label", "qid"
"""The columns beside the features, which are called f and the number that the file gives them."""


def largest_feature(path: Path, name: str, max_unpacked_gb: float) -> int:
    """The largest number of a feature in a file, whose rows have them in rising order; 0 where there is none.

    Args:
        path: The file, also compressed.
        name: Name of the file in error messages.
        max_unpacked_gb: The limit of its bytes.

    Raises:
        InputError: It has too many bytes.
    """
    lines = file_bytes(path, name, max_unpacked_gb).splitlines()
    last = [words[-1].partition(b":") for line in lines if (words := line.split(b"#")[0].split())]
    # What is no number is a label without features, or is refused where the file is read.
    return max((int(number) for number, colon, _ in last if colon and number.isdigit()), default=0)


def read_svmlight(path: Path, source: Source, name: str) -> pa.Table:
    """All rows of a file; a feature that a row leaves out is 0.

    Features are called by the number that the file gives them, `f1` to `fD` in files of LIBSVM. D is `num_features`, by
    default the largest of the file.

    Args:
        path: The file, also compressed.
        source: `num_features`, and the limit of bytes, which rows have here with all zeros.
        name: Name of the file in error messages.

    Raises:
        InputError: It is no such file; rows of several labels; a feature beyond `num_features`; too many bytes.
    """
    from sklearn.datasets import load_svmlight_file

    data = file_bytes(path, name, source.max_unpacked_gb)
    lines = [line for line in data.splitlines() if line.split(b"#")[0].strip()]
    words = [line.split()[0].decode("utf-8", "replace") for line in lines]
    if several := next((row for row, word in enumerate(words) if "," in word), None):
        raise InputError(f"{name} has the labels {words[several]!r} in {at_row(several)}; one label a row is read.")
    queried = any(b" qid:" in line for line in lines)
    try:
        loaded: Any = load_svmlight_file(io.BytesIO(data), zero_based=True, query_id=queried, dtype=np.float64)
    except Exception as error:
        raise InputError(f"{name} is no file of LIBSVM: {reason(error)}.") from None
    matrix = loaded[0].tocsc()
    highest = matrix.shape[1] - 1
    wanted = highest if source.num_features is None else source.num_features
    if highest > wanted:
        raise InputError(
            f"{name} has the feature {highest}, and `num_features` is {wanted}; write the largest number of all files."
        )
    first = 0 if matrix.shape[1] and matrix[:, [0]].nnz else 1
    if (size := len(words) * (wanted + 1 - first) * 8) > source.max_unpacked_gb * 1e9:
        raise InputError(
            f"{name} has {len(words)} rows of {wanted} features, {size / 1e9:.3g} GB with their zeros, and "
            f"{source.max_unpacked_gb:g} are allowed; set `max_unpacked_gb` to more ({FLAG})."
        )
    columns: dict[str, Any] = {LABEL: pa.array(words, pa.large_string())}
    if queried:
        columns[QUERY] = pa.array(loaded[2].astype(str).tolist(), pa.large_string())
    for index in range(first, wanted + 1):
        dense = matrix[:, [index]].toarray()[:, 0] if index <= highest else np.zeros(len(words))
        columns[f"f{index}"] = pa.array(dense)
    return pa.table(columns)
