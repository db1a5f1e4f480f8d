"""WEKA: predictions as CSV (`-classifications "…CSV -distribution"`)."""

import re

from overproof.answers.form import Asked, Parsed, Text, Tool, text_table
from overproof.data.wording import nearest
from overproof.errors import InputError

_FIRST = ["inst#", "actual", "predicted", "error"]
_CLASS = re.compile(r"(\d+):(.*)", re.DOTALL)


def _looks_like(text: Text) -> str | None:
    return "its columns begin with inst#, actual, predicted, error" if _start(text) is not None else None


def _start(text: Text) -> int | None:
    """The line of names: WEKA prints others before it, unless `-file` names a file of its own."""
    for number, line in enumerate(text.lines[:100]):
        if re.split(r"[,\t]|\s\s+", line.strip().lower())[:4] == _FIRST or re.match(r"\s*inst#\s+actual\s", line):
            return number
    return None


def _read(text: Text, asked: Asked) -> Parsed:
    start = _start(text)
    if start is None:
        raise InputError(f"{text.path} has no line `inst#,actual,predicted,error`, as WEKA writes it.")
    if not re.match(r"inst#[,\t]", text.lines[start].strip()):
        raise InputError(
            f"{text.path} is of WEKA in columns of blanks, in which names cannot be told apart; pass `-classifications "
            f'"weka.classifiers.evaluation.output.prediction.CSV -distribution"`.'
        )
    end = next((place for place in range(start, len(text.lines)) if not text.lines[place].strip()), len(text.lines))
    text = Text(text.path, "\n".join(text.lines[start:end]))
    header = text.header
    last = header[4].strip() if len(header) > 4 else ""
    if last not in ("prediction", "distribution"):
        raise InputError(f"{text.path} is of WEKA and has no column `distribution`; pass `-distribution`.")
    num = 1
    while last == "distribution" and 4 + num < len(header) and not header[4 + num].strip():
        num += 1
    rows = text.rows(len(header))
    named: dict[int, str] = {}
    predicted: list[int] = []
    for number, row in enumerate(rows):
        for place in (1, 2):
            found = _CLASS.fullmatch(row[place].strip())
            if found is None:
                text.refuse(number, f"{row[place]!r} is no class as WEKA writes it (`1:name`); classes are needed")
            index, name = int(found[1]), _unquoted(found[2])
            if place == 2:
                predicted.append(index)
            # The class of a row whose truth is unknown is `1:?`.
            if name == "?" and place == 1:
                continue
            if named.setdefault(index, name) != name:
                text.refuse(number, f"class {index} is called {name!r} and {named[index]!r}")
    counter = [row[0].strip() for row in rows]
    in_turn = counter == [str(number + 1) for number in range(len(rows))]
    columns: dict[str, list[object]] = {}
    key = asked.columns.get("id")
    if key is not None:
        if key not in header[4 + num :]:
            raise InputError(
                f"{text.path} has no column {key!r}{nearest(key, header[4 + num :])} for 'id' in option "
                f"'teacher.columns'; it has {', '.join(name for name in header if name)}."
            )
        columns["id"] = [row[header.index(key, 4 + num)] for row in rows]
    elif not in_turn and rows:
        place = next(number for number, word in enumerate(counter) if word != str(number + 1))
        text.refuse(
            place,
            f"inst# is {counter[place]}, where {place + 1} was to come: rows of cross-validation are in another order "
            f"than the data's; write your id with them (`-p`) and `columns: {{id: …}}` under `teacher`",
        )
    known = any(row[1].strip().rpartition(":")[2] != "?" for row in rows)
    notes = ["`actual` is the truth and is not read."] if known else []
    if last == "prediction":
        columns["label"] = [named[index] for index in predicted]
        columns["confidence"] = [text.number(number, row[4].lstrip("*")) for number, row in enumerate(rows)]
        return Parsed(table=text_table(columns), named=True, notes=tuple(notes))
    classes = _names(text, named, num, asked)
    if "id" in classes:
        raise InputError(f"{text.path} has a class called 'id'; the column of ids has that name.")
    columns["label"] = [classes[index - 1] for index in predicted]
    for place, name in enumerate(classes):
        columns[name] = [text.number(number, row[4 + place].lstrip("*")) for number, row in enumerate(rows)]
    return Parsed(table=text_table(columns), classes=classes, notes=tuple(notes))


def _names(text: Text, named: dict[int, str], num: int, asked: Asked) -> tuple[str, ...]:
    """The names of the columns: a class that no row names is known only from `teacher.classes`."""
    if max(named, default=0) > num:
        raise InputError(f"{text.path} names class {max(named)} and has a distribution over {num}; both must agree.")
    if asked.classes and len(asked.classes) == num:
        for index, name in named.items():
            if asked.classes[index - 1] != name:
                raise InputError(
                    f"{text.path} calls class {index} {name!r}, and option 'teacher.classes' calls it "
                    f"{asked.classes[index - 1]!r}."
                )
        return asked.classes
    unknown = [index for index in range(1, num + 1) if index not in named]
    left = [name for name in asked.class_names if name not in named.values()]
    if len(unknown) == 1 and len(left) == 1 and len(asked.class_names) == num:
        named = {**named, unknown[0]: left[0]}
    elif unknown and asked.class_names:
        order = ", ".join(named.get(index, "…") for index in range(1, num + 1))
        raise InputError(
            f"{text.path}: no row names class {unknown[0]} of its {num}; write the order of the classes in WEKA under "
            f"`teacher`: `classes: [{order}]`."
        )
    return tuple(named.get(index, f"class {index}") for index in range(1, num + 1))


def _unquoted(name: str) -> str:
    name = name.strip()
    if len(name) >= 2 and name[0] == name[-1] == "'":
        return re.sub(r"\\(.)", r"\1", name[1:-1])
    return name


TOOL = Tool(
    name="weka",
    title="WEKA",
    version="a file it wrote (version not recorded)",
    writes='`-classifications "weka.classifiers.evaluation.output.prediction.CSV -distribution"`: '
    "`inst#,actual,predicted,error,distribution,,` and attributes of `-p`",
    read_as="probabilities by the names in `1:name`; three decimals; an attribute of `-p` can be the id",
    trap="`*` stands before the predicted number; `1:?` is an unknown truth; a class that no row names has no name; "
    "cross-validation shuffles the rows",
    looks_like=_looks_like,
    read=_read,
    columns=frozenset({"id"}),
)
