"""The words of a teacher that names classes: written otherwise than the class, by another name, or no class at all."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from overproof.errors import InputError

_AROUND = " \t\r\n\"'`*.,;:"
"""What language models write around a class."""


def plain_word(word: str) -> str:
    """A word without case and without blanks, quotes, stars and full stops around it, its parts one blank apart.

    Example:
        >>> plain_word(' "Billing  and refunds." ')
        'billing and refunds'
    """
    return " ".join(word.strip(_AROUND).split()).casefold()


def readings(
    words: Sequence[str], class_names: Sequence[str], aliases: Mapping[str, str]
) -> tuple[dict[str, str], set[str]]:
    """The class that each word means, and the words that mean none.

    A class is meant by its name, by an alias, or by a word that differs from one name alone in case, in blanks, and in
    quotes, stars and full stops around it.

    Args:
        words: Different ones.
        class_names: K names.
        aliases: Classes by the words that mean them.

    Raises:
        InputError: An alias means no class, or is the name of another class.

    Example:
        >>> readings(["cat", "Dog ", "hound", "unknown"], ["cat", "dog"], {"hound": "dog"})
        ({'cat': 'cat', 'Dog ': 'dog', 'hound': 'dog'}, {'unknown'})
    """
    for alias, name in aliases.items():
        if name not in class_names:
            raise InputError(
                f"Option 'teacher.aliases' reads {alias!r} as {name!r}, which is no class; the classes are "
                f"{first_of(map(repr, class_names), 10)}."
            )
        if alias != name and alias in class_names:
            raise InputError(
                f"Option 'teacher.aliases' reads {alias!r} as {name!r}, but {alias!r} is a class of the labels itself; "
                f"correct these labels in their file, or leave the alias out."
            )
    near: dict[str, set[str]] = {}
    for name in class_names:
        near.setdefault(plain_word(name), set()).add(name)
    for alias, name in aliases.items():
        near.setdefault(plain_word(alias), set()).add(name)
    found, none = {}, set()
    for word in words:
        meant = (
            {word} if word in class_names else {aliases[word]} if word in aliases else near.get(plain_word(word), ())
        )
        if len(meant) == 1:
            found[word] = next(iter(meant))
        else:
            none.add(word)
    return found, none


def folded(counts: Mapping[str, int]) -> tuple[str, ...]:
    """The classes that words mean by themselves, sorted; blank words are none.

    Of several spellings the most frequent is the class; of equals one without marks around it, and then the first.

    Args:
        counts: How often each word occurs.

    Example:
        >>> folded({"Cats": 3, "cats ": 1, "dog": 2, "Dog.": 2, " ": 1})
        ('Cats', 'dog')
    """
    spellings: dict[str, list[str]] = {}
    for word in sorted(counts, key=lambda each: (-counts[each], each != each.strip(_AROUND), each)):
        spellings.setdefault(plain_word(word), []).append(word)
    return tuple(sorted(words[0] for plain, words in spellings.items() if plain))


def ranked(counts: Counter[Any]) -> list[tuple[Any, int]]:
    """Counts, the largest first, and of equal ones by name."""
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


def counted_words(counts: Counter[str]) -> str:
    """Words with how often they occur, the most frequent first; "" is an empty answer.

    Example:
        >>> counted_words(Counter({"unknown": 3, "": 1}))
        "'unknown' (3), empty (1)"
    """
    return first_of(f"{repr(word) if word else 'empty'} ({num})" for word, num in ranked(counts))


def first_of(words: Iterable[str], limit: int = 8) -> str:
    """Some words in a row, and how many more there are.

    Args:
        words: All of them.
        limit: How many are shown.
    """
    found = list(words)
    return ", ".join(found[:limit]) + (f" and {len(found) - limit} more" if len(found) > limit else "")
