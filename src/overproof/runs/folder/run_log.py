"""The log of a run: each message is a line of log.txt and a record of the standard logger `overproof`.

A host program listens with `logging.getLogger("overproof")`, at whatever level it sets there; log.txt gets every
message all the same.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from overproof.errors import visible
from overproof.processes import leads

FILE = "log.txt"

LOGGER = logging.getLogger("overproof")
# A library prints nothing of its own accord.
LOGGER.addHandler(logging.NullHandler())


class _Lines(logging.Handler):
    """Appends a line a record; the file is closed after each, so that runs may share it with other processes."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        """Append the record; an error is raised, not printed."""
        with self._file.open("a") as file:
            file.write(f"{visible(self.format(record))}\n")


def lines_of(folder: Path) -> logging.Handler:
    """A handler that appends records to the log of a run.

    Args:
        folder: The run's.
    """
    return _Lines(folder / FILE)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunLog:
    """The log of one run; of several processes the leading one writes.

    Args:
        folder: The run's.
    """

    folder: Path

    def write(self, event: str, text: str, level: int = logging.INFO) -> None:
        """Log what happened.

        Args:
            event: One word, such as "student".
            text: What about it.
            level: One of the levels of `logging`.
        """
        if not leads():
            return
        record = LOGGER.makeRecord(LOGGER.name, level, __file__, 0, f"{event}: {text}", (), None)
        record.folder = str(self.folder)
        _Lines(self.folder / FILE).emit(record)
        if LOGGER.isEnabledFor(level):
            LOGGER.handle(record)
