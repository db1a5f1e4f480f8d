"""Files of answers as tools write them: one file a tool, recognised by its beginning, read as a table of answers.

To add a tool, write a file with its `Tool` and name it in `TOOLS`. They are tried on the beginning of a text file, all
of them: where two recognise it, it is refused until `teacher.format` names one. What none recognises is a plain table
(`overproof.answers.tables`).
"""

from overproof.answers.form import Asked as Asked
from overproof.answers.form import Parsed as Parsed
from overproof.answers.form import Text as Text
from overproof.answers.form import Tool as Tool
from overproof.answers.form import records_table as records_table
from overproof.answers.form import text_table as text_table
from overproof.answers.tools import (
    anthropic_batch,
    argilla,
    catboost,
    comprehend,
    crowd_kit,
    doccano,
    fasttext,
    h2o,
    hugging_face,
    label_studio,
    libsvm,
    lines,
    numbers,
    openai_batch,
    prodigy,
    sagemaker,
    snorkel,
    vertex,
    vowpal_wabbit,
    weka,
)
from overproof.errors import InputError, suggest

TOOLS = {
    each.name: each
    for each in (
        libsvm.TOOL,
        fasttext.TOOL,
        vowpal_wabbit.TOOL,
        weka.TOOL,
        h2o.TOOL,
        numbers.TOOL,
        lines.TOOL,
        catboost.TOOL,
        crowd_kit.TOOL,
        snorkel.TOOL,
        label_studio.TOOL,
        argilla.TOOL,
        doccano.TOOL,
        prodigy.TOOL,
        hugging_face.TOOL,
        openai_batch.TOOL,
        anthropic_batch.TOOL,
        vertex.TOOL,
        sagemaker.TOOL,
        comprehend.TOOL,
    )
}
"""Tools by the name of their format, in the order of the documentation."""

AUTO, TABLE = "auto", "table"
"""The format that is seen in the file; a table with named columns (or JSON objects), which no tool has changed."""

FORMATS = (AUTO, TABLE, *TOOLS)


def check_format(name: str) -> None:
    """Reject a name that is no format.

    Args:
        name: As in `teacher.format`.

    Raises:
        InputError: It is none.
    """
    if name not in FORMATS:
        raise InputError(f"Option 'teacher.format' is {name!r}; {suggest(name, FORMATS)}.")


def recognised(text: Text, asked: Asked, wanted: str = AUTO) -> tuple[Tool | None, str]:
    """The tool that wrote a file, and by what it was recognised; None for a plain table.

    Args:
        text: The file.
        asked: What is said of it: with names of columns that a tool's file does not have it is a plain table.
        wanted: A format, or `auto`.

    Raises:
        InputError: Two tools recognise it.

    Example:
        >>> from pathlib import Path
        >>> tool, why = recognised(Text(Path("a.out"), "labels 3 1\\n3 0.9 0.1\\n"), Asked())
        >>> tool.name, why
        ('libsvm', "its first line is 'labels 3 1'")
    """
    if wanted == TABLE:
        return None, "format: table"
    if wanted != AUTO:
        return TOOLS[wanted], f"format: {wanted}"
    seen = [(tool, why) for tool in TOOLS.values() if (why := tool.looks_like(text)) is not None]
    seen = [(tool, why) for tool, why in seen if set(asked.columns) <= tool.columns]
    if len(seen) > 1:
        each = " and ".join(f"{tool.title} ({why})" for tool, why in seen)
        lines = " or ".join(f"`format: {tool.name}`" for tool, _ in seen)
        raise InputError(
            f"{text.path} looks like {each}; write {lines} under `teacher`, or `format: table` for neither."
        )
    return seen[0] if seen else (None, "named columns")
