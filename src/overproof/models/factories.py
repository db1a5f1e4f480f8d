"""Calls a factory of the user with what it accepts, by name."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from overproof.data.wording import listed, nearest, reason
from overproof.errors import InputError


def call_factory(
    factory: Callable[..., Any], path: str, given: Mapping[str, Any], options: Mapping[str, Any]
) -> Callable[[], Any]:
    """The call of a factory with what it accepts of the given values, by name, and with all of the options.

    Values that it has no parameter for are left out. A factory that has none of their names, and as many parameters
    without a default and without an option as there are values, gets them in order.

    Args:
        factory: A class or function.
        path: Its import path, for errors.
        given: Values by name, such as the shape of the inputs and the number of classes.
        options: The user's options by name.

    Returns:
        A function without arguments that makes the call.

    Example:
        >>> def net(num_classes, hidden=16):
        ...     return f"{num_classes} classes, {hidden} hidden"
        >>> call_factory(net, "mine:net", {"input_shape": (4,), "num_classes": 3}, {"hidden": 8})()
        '3 classes, 8 hidden'

    Raises:
        InputError: An option that it does not accept, or a parameter that nothing is given for.
    """
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        # Callables in C do not always have one.
        return lambda: _called(factory, path, tuple(given.values()), options)
    each = signature.parameters.values()
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in each)
    named = {
        parameter.name: parameter
        for parameter in each
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    if not anything and (unknown := [name for name in options if name not in named]):
        own = [name for name in named if name not in given]
        raise InputError(
            f"{path!r} has no option {unknown[0]!r}{nearest(unknown[0], own)}; its options are {listed(own) or 'none'}."
        )
    positional = [
        parameter.name
        for parameter in each
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.POSITIONAL_ONLY)
        and parameter.default is parameter.empty
        and parameter.name not in options
    ]
    in_order = not set(given) & set(named) and (
        len(positional) == len(given) or any(parameter.kind is parameter.VAR_POSITIONAL for parameter in each)
    )
    arguments = tuple(given.values()) if in_order else ()
    taken = {} if in_order else {name: value for name, value in given.items() if name in named}
    if missing := [name for name in positional if name not in taken and not in_order] + [
        name
        for name, parameter in named.items()
        if parameter.kind is parameter.KEYWORD_ONLY
        and parameter.default is parameter.empty
        and name not in {**taken, **options}
    ]:
        raise InputError(
            f"{path!r} needs {listed(missing)}, and only {listed(list(given))} are passed to it, by these names; give "
            f"the others as options: {{{missing[0]}: …}}."
        )
    return lambda: _called(factory, path, arguments, {**taken, **options})


def _called(factory: Callable[..., Any], path: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    try:
        return factory(*arguments, **options)
    except InputError:
        raise
    except Exception as error:
        shown = ", ".join([*map(repr, arguments), *(f"{name}={value!r}" for name, value in options.items())])
        raise InputError(f"{path!r} failed when called with ({shown}): {reason(error)}.") from error
