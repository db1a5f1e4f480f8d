"""Loads a factory from an import path `package.module:name`, for students and embedding models of the user."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from overproof.data.wording import nearest, reason
from overproof.errors import InputError


def imported(path: str, *, what: str) -> Callable[..., Any]:
    """The callable at an import path.

    Args:
        path: `package.module:name`.
        what: Its use, for error messages: "student", "embedder".

    Example:
        >>> imported("math:sqrt", what="student")(9)
        3.0

    Raises:
        InputError: The path has another form, there is no such module or name, or it cannot be called.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise InputError(f"Import path {path!r} of the {what} must have the form 'package.module:name'.")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(f"The {what} {path!r} cannot be imported: {reason(error)}.") from None
    if not hasattr(module, name):
        raise InputError(f"Module {module_name!r} of the {what} {path!r} has no {name!r}{nearest(name, dir(module))}.")
    found = getattr(module, name)
    if not callable(found):
        raise InputError(f"The {what} {path!r} is a {type(found).__name__}; a factory that can be called is needed.")
    factory: Callable[..., Any] = found
    return factory


def is_estimator(factory: Callable[..., Any]) -> bool:
    """Whether a factory is the class of a scikit-learn estimator, tested without importing scikit-learn.

    Example:
        >>> is_estimator(dict)
        False
    """
    return inspect.isclass(factory) and all(hasattr(factory, name) for name in ("fit", "get_params", "set_params"))
