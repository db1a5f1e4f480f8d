"""Files of answers, parsed once for all roles and seeds of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from overproof.answers.form import Asked
from overproof.answers.opened import Aligned, HowRead, Seen, answering, in_class_names, num_rows, opened, with_ids
from overproof.answers.shapes import canonical, is_unnamed_list, reasons_left_out
from overproof.answers.spelling import Spelling, spelled
from overproof.answers.tables import check_ids_differ, ids_of
from overproof.answers.tools import AUTO
from overproof.answers.votes import Vote, counted
from overproof.errors import InputError
from overproof.storage.digests import content_digest

_Opened = tuple[pa.Table, Seen]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ParsedFiles:
    """Files of answers, each parsed once for as long as its content stays as it is, and its votes counted once.

    Args:
        columns: Names of the files' columns by what they are read as.
        aliases: Classes by the words that mean them.
        format: The format of the files, or `auto`.
        classes: The classes in the order in which the files number them.
        answer_from: Which of a label and probabilities beside it is the answer.
        aligned: The rows of the data that the files answer one by one; None where they are joined by ids.
        numbered: Whether rows without ids, or with a tool's own, are called by their numbers, to be shown.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    format: str = AUTO
    classes: tuple[str, ...] = ()
    answer_from: str = ""
    aligned: Aligned | None = None
    numbered: bool = False
    _opened: dict[tuple[Path, str], tuple[str, dict[tuple[str, ...], _Opened]]] = field(default_factory=dict)
    _joined: dict[tuple[Path, str, tuple[str, ...]], tuple[pa.Table, pa.Table]] = field(default_factory=dict)
    _canonical: dict[tuple[Path, str], tuple[pa.Table, tuple[str, ...], pa.Table, Spelling]] = field(
        default_factory=dict
    )
    _counted: dict[tuple[Path, str], tuple[pa.Table, tuple[tuple[str, ...], Vote], pa.Table]] = field(
        default_factory=dict
    )

    def table(self, path: Path, id_column: str, class_names: tuple[str, ...] = ()) -> pa.Table:
        """The content of a file, with ids where it has some or the rows of the data give them.

        Args:
            path: The file.
            id_column: The column of ids.
            class_names: The run's classes; () where only the file names them.

        Raises:
            InputError: It cannot be read.
        """
        table, seen = self._as_it_is(path, id_column, class_names)
        key = path, id_column, class_names
        if (kept := self._joined.get(key)) is None or kept[0] is not table:
            made = self._with_ids(path, table, seen, id_column, class_names)
            kept = self._joined[key] = table, answering(made, seen, id_column)
        return kept[1]

    def seen(self, path: Path, id_column: str, class_names: tuple[str, ...]) -> Seen:
        """What a file was seen to be; as `table` otherwise."""
        return self._as_it_is(path, id_column, class_names)[1]

    def reading(self, path: Path, id_column: str, class_names: tuple[str, ...]) -> HowRead:
        """What is to be known of how a file was read; as `canonical` otherwise."""
        seen = self.seen(path, id_column, class_names)
        notes = seen.parsed.notes if seen.parsed is not None else ()
        left_out = reasons_left_out(self.canonical(path, id_column, class_names))
        return HowRead(seen=seen, left_out=left_out, notes=notes)

    def in_order(self, path: Path, id_column: str, class_names: tuple[str, ...]) -> bool:
        """Whether the classes of a file follow from their place alone; as `canonical` otherwise."""
        seen = self.seen(path, id_column, class_names)
        if seen.parsed is not None and seen.parsed.in_order:
            return True
        return is_unnamed_list(self.canonical(path, id_column, class_names), class_names)

    def canonical(self, path: Path, id_column: str, class_names: tuple[str, ...]) -> pa.Table:
        """The content of a file in columns of known names, where a single label stands with classes by their names.

        Raises:
            InputError: As `overproof.answers.shapes.canonical` and `overproof.answers.spelling.spelled`; or it has no
                ids.
        """
        return self._spelled(path, id_column, class_names)[0]

    def spelling(self, path: Path, id_column: str, class_names: tuple[str, ...]) -> Spelling:
        """How the words of a file are read; as `canonical` otherwise."""
        return self._spelled(path, id_column, class_names)[1]

    def _as_it_is(self, path: Path, id_column: str, class_names: tuple[str, ...]) -> _Opened:
        asked = Asked(columns=self.columns, classes=self.classes, class_names=class_names, answer_from=self.answer_from)
        try:
            content = content_digest(path)
        except OSError:
            # HowRead it raises the error that names the cause.
            return opened(path, id_column, asked, self.format)
        kept = self._opened.get((path, id_column))
        if kept is None or kept[0] != content:
            kept = self._opened[path, id_column] = content, {}
        tables = kept[1]
        # A plain table does not depend on the classes.
        plain = next((each for each in tables.values() if each[1].parsed is None), None)
        if plain is None and class_names not in tables:
            tables[class_names] = opened(path, id_column, asked, self.format)
        return plain or tables[class_names]

    def _with_ids(
        self, path: Path, table: pa.Table, seen: Seen, id_column: str, class_names: tuple[str, ...]
    ) -> pa.Table:
        own = seen.parsed is not None and bool(seen.parsed.own_ids)
        if self.numbered and (own or id_column not in table.column_names):
            if id_column in table.column_names:
                return table
            num = num_rows(table, seen)
            return with_ids(path, table, seen, id_column, pa.array([str(row) for row in range(num)], pa.large_string()))
        if self.aligned is None:
            return table
        counts = [num_rows(*self._as_it_is(each, id_column, class_names)) for each in self.aligned.paths]
        return with_ids(path, table, seen, id_column, self.aligned.of(path, counts))

    def _check_ids(self, path: Path, table: pa.Table, seen: Seen, id_column: str) -> None:
        if self.numbered or self.aligned is not None:
            return
        if seen.parsed is not None and seen.parsed.own_ids:
            raise InputError(f"{path}, an export of {seen.title}, cannot be joined: {seen.parsed.own_ids}.")
        if seen.parsed is not None and id_column not in table.column_names:
            key = " or name the column of your `id` (`columns: {id: …}`)," if self._may_name(seen) else ""
            raise InputError(
                f"{path} has no column {id_column!r} for the ids, as {seen.title} writes it ({seen.why}); if its rows "
                f"are those of the data in the same order, write `align: rows` under `teacher`,{key} else add the "
                f"data's ids."
            )

    def _may_name(self, seen: Seen) -> bool:
        from overproof.answers.tools import TOOLS

        return "id" in TOOLS[seen.format].columns

    def _spelled(self, path: Path, id_column: str, class_names: tuple[str, ...]) -> tuple[pa.Table, Spelling]:
        table, seen = self.table(path, id_column, class_names), self.seen(path, id_column, class_names)
        kept = self._canonical.get((path, id_column))
        if kept is None or kept[0] is not table or kept[1] != class_names:
            self._check_ids(path, table, seen, id_column)
            named = in_class_names(table, seen, class_names, self.aliases, path)
            made = spelled(canonical(path, named, id_column, class_names), class_names, self.aliases)
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
