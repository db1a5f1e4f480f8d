"""Docstrings as the pages of reference read them: their section `Example:` is shown as code."""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """The docstring parser knows the section by its plural."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called with every module, class, function and attribute that is read."""
        if obj.docstring is not None:
            text = re.sub(r"(?m)^Example:$", "Examples:", obj.docstring.value)
            # A nested list, not a link.
            obj.docstring.value = re.sub(r"(?<!`)\[K\]\[K\]", "`[K][K]`", text)
