"""crowd-kit: aggregated answers written by pandas, and the votes that it reads."""

from overproof.answers.form import Asked, Parsed, Text, Tool, text_table


def _looks_like(text: Text) -> str | None:
    header = text.header
    if len(set(header)) < len(header) or "task" not in header or "id" in header:
        return None
    others = set(header) - {"task"}
    if others == {"agg_label"}:
        return "its columns are task and agg_label"
    if others == {"worker", "label"}:
        return "its columns are task, worker and label"
    cells = [row[place] for row in text.first_rows for place, name in enumerate(header) if name != "task" and row]
    if header[0] == "task" and len(header) >= 3 and "label" not in others and cells and all(map(_is_share, cells)):
        return "its first column is task, and the others hold probabilities"
    return None


def _read(text: Text, asked: Asked) -> Parsed:
    text.check_header("task")
    header = text.header
    rows = text.rows(len(header))
    columns: dict[str, list[object]] = {"id": [row[header.index("task")] for row in rows]}
    if "agg_label" in header:
        columns["label"] = [row[header.index("agg_label")] for row in rows]
        return Parsed(table=text_table(columns), named=True)
    if "worker" in header:
        columns["annotator"] = [row[header.index("worker")] for row in rows]
        columns["label"] = [row[header.index("label")] for row in rows]
        return Parsed(table=text_table(columns), named=True)
    classes = tuple(name for name in header if name != "task")
    for name in classes:
        place = header.index(name)
        columns[name] = [text.number(number, row[place]) for number, row in enumerate(rows)]
    return Parsed(table=text_table(columns), classes=classes)


def _is_share(cell: str) -> bool:
    try:
        return 0 <= float(cell) <= 1
    except ValueError:
        return False


TOOL = Tool(
    name="crowd_kit",
    title="crowd-kit",
    version="1.4.2",
    writes="`fit_predict_proba(…).to_csv()`: `task` and a column for every class; `fit_predict`: `task,agg_label`; "
    "votes: `task,worker,label`",
    read_as="`task` is the id; probabilities by name; `worker` is the annotator",
    trap="columns and tasks are in the order in which they first appeared",
    looks_like=_looks_like,
    read=_read,
)
