"""The folder `web` of an export: a page that classifies a typed text in the browser, without a server behind it.

JavaScript normalises to NFKC but has no case folding, and a browser has the Unicode version that it has. So the tables
of this Python go with the page (`unicode.mjs`): which characters are spaces, parts of words, invisible, or unassigned,
and what each is folded to. Unassigned characters are not changed by NFKC and combine with none, so a browser with a
later Unicode version normalises what is between them, which is the same in every later version (Unicode's stability
policy); one with an earlier version is recognised by a sum, and refused.
"""

import functools
import itertools
import json
import unicodedata
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from overproof.errors import InputError
from overproof.models import NgramEncoder, Student, body_of
from overproof.models.ngram_hashes import SPACE, UNSEEN, WORD, character_kinds
from overproof.storage.manifest import MANIFEST, described, read_bytes

WEB = "web"
"""The folder, in that of the export."""

RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""The files of onnxruntime-web that the page loads, in the folder `dist` of its npm package."""

_PACKAGE, _VERSION = "onnxruntime-web", "1.30.0"
_PAGE = ("index.html", "page.mjs", "classify.mjs", "ngrams.mjs")
_GRAPH, _ABOUT, _TABLES = "model.onnx", "about.mjs", "unicode.mjs"
WEB_FILES = frozenset({*_PAGE, _GRAPH, _ABOUT, _TABLES, *RUNTIME, MANIFEST})
"""All that may be in the folder."""

_SURROGATES = slice(0xD800, 0xE000)
_SUM_BASE, _SUM_MODULUS = 31, 4294967291


def check_web(student: Student) -> None:
    """Check that a page can read what the student reads.

    Raises:
        InputError: It is none of n-grams with weights, or was saved by a version with another normalisation.
    """
    name = student.spec.name
    if not isinstance(student.encoder, NgramEncoder) or body_of(student.module) is not None:
        raise InputError(
            f"--web is for the student 'ngram', whose input JavaScript computes; for {name!r} leave it out, and give "
            f"model.onnx the inputs that README.md lists."
        )
    if student.encoder.normalization != "casefold":
        raise InputError(
            f"--web is for texts in NFKC_Casefold; student {name!r} is of an earlier version, which wrote lower case "
            f"(`normalization` in student.json): train it again, or leave out --web."
        )


def web_files(student: Student, graph: bytes, runtime: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of the page by name, without a manifest; the same student and files give the same bytes.

    Args:
        student: As `check_web` allows.
        graph: Its ONNX graph.
        runtime: Files of onnxruntime-web, by `runtime_files`; empty where the user adds them.
    """
    encoder = student.encoder.config()
    about = {
        "class_names": list(student.class_names),
        "encoder": {name: encoder[name] for name in ("words", "characters", "buckets", "max_characters")},
        # What the page compares the other files with, before it answers.
        "graph": described(graph),
        "unicode": unicodedata.unidata_version,
    }
    page = resources.files("overproof.deployment") / "page"
    return {
        **{name: (page / name).read_bytes() for name in _PAGE},
        _GRAPH: graph,
        _ABOUT: _module("about", about),
        _TABLES: _module("tables", unicode_tables()),
        **runtime,
    }


def runtime_files(folder: Path) -> dict[str, bytes]:
    """The files of onnxruntime-web that a page needs, by name.

    Args:
        folder: Of the npm package, or its folder `dist`.

    Raises:
        InputError: It is not that package, or a file is missing.
    """
    install = f"`npm install {_PACKAGE}@{_VERSION}` puts one in node_modules/{_PACKAGE}"
    for home in (folder, folder.parent):
        if (home / "package.json").is_file():
            try:
                name = json.loads(read_bytes(home / "package.json")).get("name")
            except (ValueError, AttributeError):
                name = None
            if name == _PACKAGE:
                break
    else:
        raise InputError(f"--runtime {str(folder)!r} is not a folder of the npm package {_PACKAGE}; {install}.")
    for name in RUNTIME:
        if not (home / "dist" / name).is_file():
            raise InputError(
                f"--runtime {str(folder)!r} has no file dist/{name}, so it is another version of {_PACKAGE} than the "
                f"page is for ({_VERSION} and similar); {install}."
            )
    return {name: read_bytes(home / "dist" / name) for name in RUNTIME}


@functools.cache
def unicode_tables() -> dict[str, Any]:
    """What JavaScript needs to normalise a text as `overproof.models.ngram_hashes.normalised`, and to split it.

    Ranges are pairs of a first and a last code point. `folded` has the characters that full case folding changes;
    `changed` those that NFKC changes, and `sum` what they become.
    """
    characters = [chr(code) for code in range(0x110000)]
    kinds = character_kinds(len(characters))
    # One call for all: no character combines with a line break.
    lines = "\n".join(characters[: _SURROGATES.start] + characters[_SURROGATES.stop :])
    changed = _changed(lines, unicodedata.normalize("NFKC", lines))
    total = 0
    for character in itertools.chain.from_iterable(changed.values()):
        total = (_SUM_BASE * total + ord(character)) % _SUM_MODULUS
    return {
        "version": unicodedata.unidata_version,
        "word": _ranges(np.flatnonzero(kinds == WORD).tolist()),
        "space": _ranges(np.flatnonzero(kinds == SPACE).tolist()),
        "unseen": _ranges(ord(each) for each in UNSEEN.findall(lines)),
        "unassigned": _ranges(code for code, each in enumerate(characters) if unicodedata.category(each) == "Cn"),
        "folded": list(_changed(lines, lines.casefold()).items()),
        "changed": _ranges(map(ord, changed)),
        "sum": total,
    }


def _changed(lines: str, found: str) -> dict[str, str]:
    """The characters that became something else, each on a line of its own before and after."""
    return {
        character: text
        for character, text in zip(lines.split("\n"), found.split("\n"), strict=True)
        if text != character
    }


def _ranges(codes: Iterable[int]) -> list[list[int]]:
    found = np.fromiter(codes, np.int64)
    ends = np.flatnonzero(np.diff(found) != 1)
    firsts, lasts = found[np.append(0, ends + 1)], found[np.append(ends, len(found) - 1)]
    return np.stack([firsts, lasts], axis=1).tolist()


def _module(name: str, value: Any) -> bytes:
    return f"export const {name} = {json.dumps(value, separators=(',', ':'))};\n".encode()
