"""Amazon Comprehend: the output of a classification or sentiment job (`predictions.jsonl`)."""

from collections import Counter
from typing import Any

from overproof.answers.form import Asked, Parsed, Text, Tool, counted_reasons, text_table
from overproof.errors import InputError


def _looks_like(text: Text) -> str | None:
    for first in text.first_values:
        if isinstance(first, dict) and "File" in first and {"Classes", "SentimentScore", "Labels"} & first.keys():
            return "its objects have `File` and `Classes`, `Labels` or `SentimentScore`"
    return None


def _read(text: Text, asked: Asked) -> Parsed:
    lines: list[int | None] = []
    files: list[str] = []
    names: list[list[str]] = []
    numbers: list[list[float]] = []
    left_out = Counter[str]()
    values = text.values()
    for number, row in enumerate(values):
        if not isinstance(row, dict) or "File" not in row:
            text.refuse(number, "it has no `File`")
        if "Labels" in row:
            raise InputError(
                f"{text.path} is of Comprehend in multi-label mode, whose scores do not sum to one; train a classifier "
                f"in multi-class mode."
            )
        if row.get("ErrorCode"):
            left_out[f"the document failed ({row['ErrorCode']})"] += 1
            continue
        found: Any = row.get("Classes")
        if isinstance(found, list):
            pairs = [(str(each["Name"]), float(each["Score"])) for each in found]
        elif isinstance(row.get("SentimentScore"), dict):
            pairs = [(name.upper(), float(score)) for name, score in row["SentimentScore"].items()]
        else:
            text.refuse(number, "it has neither `Classes` nor `SentimentScore`")
        names.append([name for name, _ in pairs])
        numbers.append([score for _, score in pairs])
        files.append(str(row["File"]))
        line = row.get("Line")
        lines.append(int(line) if line is not None and str(line).isdigit() else None)
    columns: dict[str, Any] = {"top_classes": names, "top_probs": numbers}
    if all(line is None for line in lines) and len(set(files)) == len(files):
        note = "One document a file: the name of the file is the id."
        return Parsed(
            table=text_table({"id": files, **columns}), named=True, left_out=counted_reasons(left_out), notes=(note,)
        )
    places = [line for line in lines if line is not None]
    if len(set(files)) > 1 or len(places) < len(lines) or len(set(places)) < len(places):
        raise InputError(
            f"{text.path} answers lines of {len(set(files))} files, some of them twice or without a line; give the "
            f"output of one file with a document on each line."
        )
    return Parsed(
        table=text_table(columns),
        named=True,
        left_out=counted_reasons(left_out),
        notes=(f"`Line` counts the lines of {files[0]!r} from 0; the objects are in no order.",) if files else (),
        rows=tuple(places),
        num_rows=len(values),
    )


TOOL = Tool(
    name="comprehend",
    title="Amazon Comprehend",
    version="`Classes` by the service model of botocore 1.44; the file by public description",
    writes='JSON lines: `{"File": "docs.csv", "Line": "0", "Classes": [{"Name": "a", "Score": 0.9}]}`; failed ones '
    "have `ErrorCode`",
    read_as="probabilities by name; `Line` is the row of the data (with `align: rows`); with a document a file the id "
    "is `File`",
    trap="lines are in no order; failed documents are no answers; multi-label scores do not sum to one",
    looks_like=_looks_like,
    read=_read,
)
