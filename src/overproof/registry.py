"""Names to parts and methods: what the command line can spell, the docs list and the contract tests visit."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, is_dataclass
from typing import Any, Literal, TypeVar

from overproof.claims import Claim
from overproof.errors import InputError, nearest_word

Kind = Literal["loss", "weight", "target", "select", "noise", "method"]
Part = TypeVar("Part", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True, slots=True)
class Paper:
    """A work to cite; `key` is its BibTeX key, `arxiv` its number there (empty where it has none)."""

    key: str
    title: str
    authors: str
    venue: str
    year: int
    arxiv: str = ""

    @property
    def place(self) -> str:
        """Where to find it, in few words."""
        return f"arXiv {self.arxiv}" if self.arxiv else f"{self.venue}"

    def bibtex(self) -> str:
        """The work as a BibTeX entry."""
        preprint = f",\n  eprint = {{{self.arxiv}}},\n  archivePrefix = {{arXiv}}" if self.arxiv else ""
        return (
            f"@misc{{{self.key},\n  title = {{{self.title}}},\n  author = {{{self.authors}}},\n"
            f"  year = {{{self.year}}},\n  note = {{{self.venue}}}{preprint}\n}}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One registered name.

    Args:
        kind: What it is.
        name: How it is spelt; the word in experiments and on the command line.
        make: Builds it from its options, by keyword.
        paper: Where it comes from; None for a baseline nobody claims.
        claims: What it promises, each checked by the contract tests.
        summary: The first sentence of its docstring.
    """

    kind: Kind
    name: str
    make: Callable[..., Any]
    paper: Paper | None
    claims: tuple[Claim, ...]
    summary: str


_entries: dict[tuple[Kind, str], Entry] = {}


def register(kind: Kind, name: str, *, paper: Paper | None, claims: tuple[Claim, ...] = ()) -> Callable[[Part], Part]:
    """Register a dataclass (a part) or a function that composes a method under a name.

    The name is what experiments and the command line spell; it is stored with results and never follows a file's name.
    """

    def add(make: Part) -> Part:
        assert kind == "method" or is_dataclass(make), f"{make} must be a dataclass: its fields are its options"
        assert (kind, name) not in _entries, f"{kind} {name!r} is already registered"
        summary = (make.__doc__ or "").strip().partition("\n")[0]
        _entries[kind, name] = Entry(kind=kind, name=name, make=make, paper=paper, claims=claims, summary=summary)
        return make

    return add


def entries(kind: Kind | None = None) -> tuple[Entry, ...]:
    """All registered names, in the order of registration."""
    return tuple(entry for entry in _entries.values() if kind in (None, entry.kind))


def lookup(kind: Kind, name: str) -> Entry:
    """The entry of that name.

    Raises:
        InputError: There is none; the sentence names the nearest or all of them.
    """
    if (kind, name) not in _entries:
        word = {"select": "selector", "noise": "noise model"}.get(kind, kind)
        raise InputError(f"There is no {word} {name!r}; {suggest(str(name), [e.name for e in entries(kind)])}.")
    return _entries[kind, name]


def entry_of(part: object) -> Entry:
    """The entry a part was made from."""
    return next(entry for entry in _entries.values() if entry.make is type(part))


def kind_of(part: object, option: str) -> Kind:
    """What kind of part it is.

    Args:
        part: A part, or a group of parts.
        option: What to call it in errors.

    Raises:
        InputError: It is a group of parts, which has no name.
    """
    kinds = [entry.kind for entry in _entries.values() if entry.make is type(part)]
    if not kinds:
        raise InputError(f"Option {option!r} is a group of parts and goes by no name; set its parts by their paths.")
    return kinds[0]


def suggest(word: str, known: Iterable[str]) -> str:
    """`did you mean 'slam'` where one known word is near, else the list of them all."""
    known = sorted(known)
    nearest = nearest_word(word, known)
    return f"choose from {', '.join(known)}" if nearest is None else f"did you mean {nearest!r}"
