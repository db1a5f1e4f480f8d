"""What every step of a run does around its work: the folder's lock, allowed imports, the log of what is made again."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar, runtime_checkable

from overproof.models.importing import allowing
from overproof.runs.folder.run_log import lines_of
from overproof.storage.checked import LOGGER
from overproof.storage.one_writer import writing

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@runtime_checkable
class InFolder(Protocol):
    """What has a folder, and code that may be run for it."""

    @property
    def folder(self) -> Path:
        """Its folder."""
        ...

    @property
    def allow_import(self) -> frozenset[str]:
        """The import paths that the user allowed."""
        ...


Work = TypeVar("Work", bound=InFolder)


def step(function: Callable[Concatenate[Work, Arguments], Result]) -> Callable[Concatenate[Work, Arguments], Result]:
    """A method of a run that writes to its folder: a second process is refused for as long as it works.

    Within it, the import paths that the user allowed may be imported.

    Args:
        function: The method.
    """

    @functools.wraps(function)
    def alone(work: Work, *arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        with writing(work.folder), working_on(work):
            return function(work, *arguments, **options)

    return alone


@contextmanager
def working_on(work: InFolder) -> Iterator[None]:
    """What a step does around its work but for the lock, for a process that works for the one that holds it.

    Args:
        work: What is worked on.
    """
    with allowing(work.allow_import):
        lines = lines_of(work.folder)
        LOGGER.addHandler(lines)
        try:
            yield
        finally:
            LOGGER.removeHandler(lines)
