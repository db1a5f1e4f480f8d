"""Write docs/answers.md from the tools whose files are read: `make docs`; a test compares the two."""

from pathlib import Path

from overproof.answers.tools import TOOLS

INTRODUCTION = """# Files of answers, tool by tool

This page is generated from the code (`make docs`). A teacher's answers are read as the tool wrote them:
`teacher: {answers: predictions.txt}`, or `overproof run data.csv --answers predictions.txt`. The tool is recognised by
the beginning of the file, never by its name. Look first:

```
overproof answers predictions.txt --classes neg,pos    # or --json
```

shows format and why, columns, classes, the first five rows as they are read, and how many rows are left out and why. A
file that cannot be read ends it with one sentence and exit code 2.

All text files may have a byte order mark, Windows line ends, no last line end, be in UTF-16, or be compressed (`.gz`,
`.zst`). What no tool wrote is a plain table: columns or keys by [their names](howto/llm_answers.md), in CSV, TSV, JSON
lines, a JSON array of objects, Parquet or Arrow; lists in cells of a CSV file (`"[0.2, 0.8]"`) are opened. Columns with
other names are named in the experiment:

```yaml
teacher:
  answers: [first.csv, second.csv]  # each may hold a part; an example that both answer must have one answer
  columns: {id: ticket, label: queue}  # what is called otherwise
  format: auto                         # or a name below, or `table`, where two tools fit
  align: id                            # `rows`: no ids; row by row with the data's files
  classes: [pos, neg]                  # the order, where a file holds numbers alone
  aliases: {"1": pos, "2": neg}        # classes by other names
  answer_from: probabilities           # or `label`, where both stand in a row and differ
```

**Rows without ids** are used only with `align: rows`, and only if there are as many answers as rows in the data's
files, which go end to end in the order in which the experiment names them (a test with a file of its own needs none).
Without it the error has the line to write. Rows of the data with the same content are answered by the first of them.

**Numbers without names** are in the order of the classes (or `teacher.classes`). If another order makes most labelled
examples right and this one does not, that is an error which shows both orders and the line to write. Of two classes,
the other order is taken for the right one where answers are right significantly less often than a coin is (at the 1 %
level, also given how often each class is named); probabilities that are named by class are never judged so.

**Rounding** is allowed by its digits: with K classes and d decimals a row may differ from one by K · 10^-d / 2.

| format | tool | version | what it writes | how it is read | the trap |
|---|---|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    rows = [
        f"| `{tool.name}` | {tool.title} | {tool.version} | {tool.writes} | {tool.read_as} | {tool.trap} |"
        for tool in TOOLS.values()
    ]
    return INTRODUCTION + "\n".join(rows) + "\n"


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page())
