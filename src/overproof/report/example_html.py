"""Render one example as HTML: images as embedded PNG, texts and table rows as text."""

import base64
import io
from typing import Any

import numpy as np
from markupsafe import Markup
from torch import Tensor

from overproof.data import Examples
from overproof.report.page import rendered

LONGEST_TEXT = 420
"""Largest number of characters shown of a text."""

MOST_COLUMNS = 12
"""Largest number of columns shown of a table row."""

LARGEST_PICTURE = 160
"""Largest number of pixels of an image's longer side."""


def example_html(examples: Examples, row: int) -> Markup:
    """One example as HTML, with its content escaped.

    Args:
        examples: Examples of any kind.
        row: The index of the example.
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
