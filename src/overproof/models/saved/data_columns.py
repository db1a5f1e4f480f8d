"""What is to be known of the columns of a student's training data, in `student.json`, so that predict finds them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from overproof.errors import InputError
from overproof.models.saved.checked_fields import checked_fields
from overproof.models.student import ABOUT
from overproof.storage import atomic

_KEY = "columns"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataColumns:
    """Names of columns.

    Args:
        input: Of the texts or images, several of a text that is joined of them; None for a table, which is read by its
            features.
        id: Of the user's own ids.
        gaps: Whether the columns may have missing values (`missing: allow`).
    """

    input: tuple[str, ...] | str | None = None
    id: str | None = None
    gaps: bool = False


def with_columns(files: Mapping[str, bytes], columns: DataColumns) -> dict[str, bytes]:
    """The files of a student with the columns in its `student.json`; unchanged where none is known.

    Args:
        files: Contents by name, as `overproof.models.Student.files` makes them.
        columns: Of the data that it was trained on.
    """
    known = {name: value for name, value in asdict(columns).items() if value}
    if not known:
        return dict(files)
    about = json.loads(files[ABOUT])
    # `student.json` stays the last file that is written.
    others = {name: data for name, data in files.items() if name != ABOUT}
    return {**others, ABOUT: atomic.json_bytes({**about, _KEY: known})}


def columns_of(folder: Path | str) -> DataColumns:
    """The columns of the data that a saved student was trained on; none for one that was made elsewhere.

    Args:
        folder: A student's, whose files have been checked.

    Raises:
        InputError: `student.json` names something else there.
    """
    path = Path(folder) / ABOUT
    known = json.loads(path.read_bytes()).get(_KEY, {})
    try:
        if not isinstance(known, dict):
            raise ValueError(f"{_KEY} is no object")
        return checked_fields(DataColumns, known, _KEY)
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}).") from None
