"""Import paths `package.module:name`: which may be imported, and the factory at one.

A path that a file names (an experiment, a student's description) is not imported for that. Two kinds of path are: those
in `KNOWN`, and those that the user names in the same command (`--allow-import`) or Python call (`allow_import`). The
latter hold in a block of `allowing`; a student keeps the paths under which it was built or loaded.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from overproof.data.wording import nearest, reason
from overproof.errors import InputError
from overproof.models.classifiers import KNOWN, check_classifier_options

_allowed: ContextVar[frozenset[str]] = ContextVar("allowed", default=frozenset())
_folders: list[Path] = []


def look_in(folder: Path) -> None:
    """Look for modules that the user allows in a folder too, after the working folder; never for any other module.

    Args:
        folder: Of a file that the user typed, such as an experiment.
    """
    if (whole := folder.absolute()) not in _folders:
        _folders.append(whole)


def _find(module_name: str) -> None:
    """Put the folder in which an allowed module is on the import path, where Python does not find it already."""
    root = module_name.partition(".")[0]
    try:
        if root in sys.modules or importlib.util.find_spec(root) is not None:
            return
    except ValueError:
        return
    for folder in (Path.cwd(), *_folders):
        if (folder / f"{root}.py").is_file() or (folder / root / "__init__.py").is_file():
            # At its end: nothing that is installed can be hidden by a file there.
            sys.path.append(str(folder))
            return


@contextmanager
def allowing(paths: Iterable[str] | str) -> Iterator[None]:
    """Within the block, import paths that the user has named may be imported too.

    Args:
        paths: One path or several, each `package.module:name`; never from a file.

    Example:
        >>> with allowing("math:sqrt"):
        ...     imported("math:sqrt", what="student")(9)
        3.0

    Raises:
        InputError: A path has another form.
    """
    token = _allowed.set(_allowed.get() | as_paths(paths))
    try:
        yield
    finally:
        _allowed.reset(token)


def as_paths(paths: Iterable[str] | str) -> frozenset[str]:
    """Import paths that the user has named, checked for their form.

    Args:
        paths: One path or several.

    Example:
        >>> sorted(as_paths(["math:sqrt", "mypackage.models:Net"]))
        ['math:sqrt', 'mypackage.models:Net']

    Raises:
        InputError: A path has another form.
    """
    found = frozenset([paths] if isinstance(paths, str) else paths)
    for path in sorted(found):
        if not is_import_path(path) and not is_address(path):
            raise InputError(
                f"--allow-import (in Python: allow_import) is {path!r}; an import path has the form "
                f"'package.module:name', and an address starts with https:// or http://."
            )
    return found


def allowed() -> frozenset[str]:
    """The import paths that the user has named, within the blocks of `allowing`."""
    return _allowed.get()


def is_import_path(text: str) -> bool:
    """Whether a text has the form `package.module:name`.

    Example:
        >>> is_import_path("mypackage.models:Net"), is_import_path("C:/models"), is_import_path("linear")
        (True, False, False)
    """
    module, colon, name = text.partition(":")
    return bool(colon) and all(part.isidentifier() for each in (module, name) for part in each.split("."))


def is_address(text: str) -> bool:
    """Whether a text is an address of http or https.

    Example:
        >>> is_address("https://api.openai.com/v1"), is_address("http:Net")
        (True, False)
    """
    return text.startswith(("https://", "http://"))


def check_allowed(path: str, found: str) -> None:
    """Refuse an import path that is neither in `KNOWN` nor named by the user; nothing is imported.

    Args:
        path: The import path.
        found: Where it was found, as the start of a sentence: "Option 'student.name'".

    Raises:
        InputError: It is refused; the sentence has the option that allows it.
    """
    module, _, name = path.partition(":")
    if not module or not name:
        raise InputError(f"{found} is the import path {path!r}; it must have the form 'package.module:name'.")
    if path not in KNOWN and path not in _allowed.get():
        like = nearest(name, [each.partition(":")[2] for each in KNOWN if each.startswith(f"{module}:")])
        raise InputError(
            f"{found} is the import path {path!r}, whose code is run only if you allow it{like}: add "
            f"--allow-import {path} to the command (in Python: allow_import={path!r})."
        )


def imported(path: str, *, what: str) -> Callable[..., Any]:
    """The callable at an import path.

    Args:
        path: `package.module:name`, in `KNOWN` or allowed by the user.
        what: Its use, for error messages: "student", "embedder".

    Example:
        >>> imported("sklearn.naive_bayes:GaussianNB", what="teacher").__name__
        'GaussianNB'

    Raises:
        InputError: The path is not allowed or has another form, there is no such module or name, or it cannot be
            called.
    """
    check_allowed(path, f"The {what}")
    module_name, _, name = path.partition(":")
    _find(module_name)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(
            f"The {what} {path!r} cannot be imported: {reason(error)}. Modules are looked for where Python does, "
            f"in the working folder, and in that of the experiment file; PYTHONPATH names more folders."
        ) from None
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise InputError(
                f"Module {module_name!r} of the {what} {path!r} has no {part!r}{nearest(part, dir(found))}."
            )
        found = getattr(found, part)
    if not callable(found):
        raise InputError(f"The {what} {path!r} is a {type(found).__name__}; a factory that can be called is needed.")
    factory: Callable[..., Any] = found
    return factory


def check_options_of(path: str, options: Any, option: str) -> None:
    """Check the options of a classifier in `KNOWN`; those of a path that the user allows are passed as they are.

    Args:
        path: The import path.
        options: By name.
        option: What to call them in errors: "student.options".

    Raises:
        InputError: An option is not a plain value.
    """
    if path in KNOWN:
        check_classifier_options(path, options, option)


def is_estimator(factory: Callable[..., Any]) -> bool:
    """Whether a factory is the class of a scikit-learn estimator, tested without importing scikit-learn.

    Example:
        >>> is_estimator(dict)
        False
    """
    return inspect.isclass(factory) and all(hasattr(factory, name) for name in ("fit", "get_params", "set_params"))
