"""Examples as a page shows them: pictures as PNG inside it, texts and table rows as words."""

import base64
import io
from typing import Any

import numpy as np
from markupsafe import Markup
from torch import Tensor

from overproof.data import Examples
from overproof.report.page import rendered

LONGEST_TEXT = 420
"""Characters of a text that are shown."""

MOST_COLUMNS = 12
"""Columns of a table row that are shown."""

LARGEST_PICTURE = 160
"""Pixels of a picture's longer side."""


def shown(examples: Examples, row: int) -> Markup:
    """One example as HTML, whatever stands in it escaped.

    Args:
        examples: Of any kind.
        row: Which of them.
    """
    if examples.kind == "image":
        return rendered("example.html", kind="image", picture=_png(examples.inputs[row]), text="", columns=[], more=0)
    inputs: Any = examples.inputs
    if examples.kind == "text":
        text = " ".join(str(inputs[row].as_py()).split())
        text = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1].rsplit(" ", 1)[0] + " …"
        return rendered("example.html", kind="text", picture="", text=text, columns=[], more=0)
    values = inputs.slice(row, 1).to_pylist()[0]
    columns = [(name, _written(value)) for name, value in list(values.items())[:MOST_COLUMNS]]
    more = max(0, len(values) - MOST_COLUMNS)
    return rendered("example.html", kind="table", picture="", text="", columns=columns, more=more)


def _png(pixels: Tensor) -> str:
    from PIL import Image

    array: Any = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
    picture = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    picture.thumbnail((LARGEST_PICTURE, LARGEST_PICTURE))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _written(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 80 else text[:79] + "…"
