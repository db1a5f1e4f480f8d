"""Files of answers, parsed once for all roles and seeds of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from overproof.answers.shapes import canonical
from overproof.answers.spelling import Spelling, spelled
from overproof.answers.tables import check_ids_differ, ids_of, read_table
from overproof.answers.votes import Vote, counted
from overproof.storage.digests import content_digest


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ParsedFiles:
    """Files of answers, each parsed once for as long as its content stays as it is, and its votes counted once.

    Args:
        columns: Names of the files' columns by what they are read as.
        aliases: Classes by the words that mean them.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    _tables: dict[tuple[Path, str], tuple[str, pa.Table]] = field(default_factory=dict)
    _canonical: dict[tuple[Path, str], tuple[pa.Table, tuple[str, ...], pa.Table, Spelling]] = field(
        default_factory=dict
    )
    _counted: dict[tuple[Path, str], tuple[pa.Table, tuple[tuple[str, ...], Vote], pa.Table]] = field(
        default_factory=dict
    )

    def table(self, path: Path, id_column: str) -> pa.Table:
        """The content of a file.

        Raises:
            InputError: It cannot be read.
        """
        try:
            content = content_digest(path)
        except OSError:
            # Reading it raises the error that names the cause.
            return read_table(path, id_column, self.columns)
        kept = self._tables.get((path, id_column))
        if kept is None or kept[0] != content:
            kept = self._tables[path, id_column] = content, read_table(path, id_column, self.columns)
        return kept[1]

    def canonical(self, path: Path, id_column: str, class_names: tuple[str, ...]) -> pa.Table:
        """The content of a file in columns of known names, where a single label stands with classes by their names.

        Raises:
            InputError: As `overproof.answers.shapes.canonical` and `overproof.answers.spelling.spelled`.
        """
        return self._spelled(path, id_column, class_names)[0]

    def spelling(self, path: Path, id_column: str, class_names: tuple[str, ...]) -> Spelling:
        """How the words of a file are read; as `canonical` otherwise."""
        return self._spelled(path, id_column, class_names)[1]

    def _spelled(self, path: Path, id_column: str, class_names: tuple[str, ...]) -> tuple[pa.Table, Spelling]:
        table = self.table(path, id_column)
        kept = self._canonical.get((path, id_column))
        if kept is None or kept[0] is not table or kept[1] != class_names:
            made = spelled(canonical(path, table, id_column, class_names), class_names, self.aliases)
            kept = self._canonical[path, id_column] = table, class_names, *made
        return kept[2], kept[3]

    def votes(self, path: Path, id_column: str, class_names: tuple[str, ...]) -> pa.Table:
        """The rows of a file of votes that name a class; as `canonical` otherwise.

        Raises:
            InputError: An id stands in several rows of lists.
        """
        table, spelling = self._spelled(path, id_column, class_names)
        if "labels" in table.column_names:
            # Before rows are left out, so that their numbers are those of the file.
            check_ids_differ(path, ids_of(path, table, id_column), id_column)
        return table if spelling.words is None else table.filter(pc.is_null(spelling.words))

    def counted(self, path: Path, id_column: str, class_names: tuple[str, ...], vote: Vote) -> pa.Table:
        """A file of votes as one of answers.

        Raises:
            InputError: As `overproof.answers.votes.counted`.
        """
        table, how = self.canonical(path, id_column, class_names), (class_names, vote)
        kept = self._counted.get((path, id_column))
        if kept is None or kept[0] is not table or kept[1] != how:
            cast = self.votes(path, id_column, class_names)
            made = counted(path, cast, ids_of(path, cast, id_column), class_names, vote, id_column=id_column)
            made = made.replace_schema_metadata(table.schema.metadata)
            kept = self._counted[path, id_column] = table, how, made
        return kept[2]
