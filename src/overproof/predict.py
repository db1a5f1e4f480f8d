"""A student's answers for a file of examples, in their order."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from overproof import atomic
from overproof.data import Examples
from overproof.errors import InputError
from overproof.models import Student, TableEncoder


def write_answers(path: Path, examples: Examples, student: Student) -> None:
    """Write id, likeliest class and the probability of every class, one row an example, order kept.

    The id is the user's own where the examples have one, else the content id in hex. The file is what
    `overproof.answer_files` reads, so one student can teach the next.

    Args:
        path: `.parquet` or `.csv`.
        examples: What to answer.
        student: Who answers.

    Raises:
        InputError: The extension is another.
    """
    probs = student.probs(_narrowed(examples, student))
    ids = examples.keys if examples.keys is not None else pa.array([bytes(each).hex() for each in examples.ids])
    columns = {"id": ids, "label": pa.array([student.class_names[index] for index in probs.argmax(dim=1).tolist()])}
    clash = set(columns) & set(student.class_names)
    if clash:
        raise InputError(f"A class is called {clash.pop()!r}, like a column of the answers; rename the class.")
    columns.update({name: pa.array(probs[:, index].numpy()) for index, name in enumerate(student.class_names)})
    table, buffer = pa.table(columns), io.BytesIO()
    if path.suffix == ".parquet":
        pq.write_table(table, buffer)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(table, buffer)
    else:
        raise InputError(f"--out {str(path)!r} must end in .parquet or .csv, not {path.suffix!r}.")
    atomic.write_bytes(path, buffer.getvalue())


def _narrowed(examples: Examples, student: Student) -> Examples:
    """Tables without the columns the student does not read, such as a label."""
    if not isinstance(student.encoder, TableEncoder) or examples.kind != "table":
        return examples
    return examples.only([column.name for column in student.encoder.columns if column.name in examples.column_names])
