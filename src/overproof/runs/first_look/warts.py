"""Answers that are no class, list several, or are another word for one: what is made of them, what to write instead."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from overproof.answers.spelling import Spelling
from overproof.answers.unanswered import Lacking, lacking
from overproof.answers.words import first_of, plain_word, ranked
from overproof.data.labelled.remarks import other_spellings
from overproof.data.wording import counted
from overproof.errors import nearest_word
from overproof.runs.answered import answered_roles, check_answers
from overproof.runs.caches import Caches
from overproof.runs.changes import changed
from overproof.runs.experiment import Experiment, experiment_from
from overproof.runs.first_look.sources import Choices, Said
from overproof.runs.first_look.written import typed_option
from overproof.runs.roles import Roles
from overproof.teachers import joined_by

_SUGGESTED = 6
"""So many words are named at most."""


def with_answers(
    content: dict[str, Any], comments: dict[str, str], roles: Roles, choices: Choices, said: Said
) -> tuple[Experiment, Roles]:
    """The experiment and its roles with answers that a run accepts: what it would refuse is left out, and said.

    Args:
        content: The experiment's options; those of its teacher are added.
        comments: Words beside an option, by path; those on the teacher are added.
        roles: As they are without regard to answers.
        choices: What the user has said.
        said: Gets what is unsure.

    Raises:
        InputError: Answers that a run would refuse.
    """
    experiment, caches = experiment_from(content), Caches()
    teacher = experiment.teacher
    if not teacher.answers:
        return experiment, answered_roles(roles, experiment, caches)
    files = caches.answers_of(teacher, experiment.data)
    told = changed({}, choices.changes).get("teacher", {})
    told = told if isinstance(told, dict) else {}
    spellings = [files.spelling(Path(path), "id", roles.class_names) for path in teacher.answers]
    if (cells := _of_all(spellings)) and "vote" not in told and isinstance(content.get("teacher"), dict):
        content["teacher"]["vote"] = "set"
        comments["teacher.vote"] = f"{counted(cells.total(), 'answer lists', 'answers list')} several classes"
        said.unsure.append(
            f"{counted(cells.total(), 'answer lists', 'answers list')} several classes, such as "
            f"{ranked(cells)[0][0]!r}: "
            "all of them are taken for classes that may hold; if they are votes, write "
            f"{typed_option('teacher.vote', 'soft')}."
        )
    lacks = [
        lacking(teacher.answers, joined_by(each), roles.class_names, parsed=files)
        for role, each in roles.fixed.items()
        if role != "test" and len(each)
    ]
    if (num := sum(each.num for each in lacks)) and "unanswered" not in told:
        content["teacher"]["unanswered"] = "drop"
        comments["teacher.unanswered"] = f"{counted(num, 'example has', 'examples have')} no answer"
    kept = _kept_spellings(roles)
    said.unsure += advice(_words(lacks), [each for each in roles.class_names if each not in kept], teacher.aliases)
    experiment = experiment_from(content)
    roles = answered_roles(roles, experiment, caches)
    # All that a run would refuse of the answers is refused here.
    check_answers(roles, experiment, caches)
    return experiment, roles


def _kept_spellings(roles: Roles) -> dict[str, str]:
    """Classes that are another spelling of one, with that one: an answer is never read as the rarer spelling."""
    labelled = roles.fixed.get("train", roles.fixed.get("labelled"))
    return {} if labelled is None else other_spellings(labelled)


def _of_all(spellings: Iterable[Spelling]) -> Counter[str]:
    return sum((each.cells for each in spellings), Counter[str]())


def _words(lacks: Iterable[Lacking]) -> Counter[str]:
    return Counter({word: num for word, num in sum((each.words for each in lacks), Counter[str]()).items() if word})


def advice(words: Mapping[str, int], class_names: Sequence[str], aliases: Mapping[str, str]) -> list[str]:
    """What to write where words that are no class mean one: the class that is spelled most alike, or a place for it.

    Args:
        words: How many examples have which word instead of an answer.
        class_names: K names.
        aliases: Those that the user has given, which are kept.

    Example:
        >>> for sentence in advice({"bil": 9, "none": 2}, ["bill", "login"], {}):
        ...     print(sentence)
        'bil' (9) is nearly a class: write --set 'teacher.aliases={bil: bill}' if it means that one.
        'none' (2) is no class and left out; if it means one, write --set 'teacher.aliases={bil: bill, none: CLASS}'.
    """
    plain = {plain_word(name): name for name in class_names}
    found, others = dict[str, str](), []
    for word, _ in ranked(Counter(words)):
        near = _nearest(plain_word(word), plain)
        if near is None:
            others.append(word)
        else:
            found[word] = plain[near]
    sentences = []
    if found:
        shown = dict(list(found.items())[:_SUGGESTED])
        option = typed_option("teacher.aliases", {**aliases, **shown})
        one = len(found) == 1
        sentences.append(
            f"{_counted(found, words)} {'is' if one else 'are'} nearly a class: write {option} if "
            f"{'it means that one' if one else 'they mean those'}."
        )
    if others:
        option = typed_option("teacher.aliases", {**aliases, **found, others[0]: "CLASS"})
        one = len(others) == 1
        sentences.append(
            f"{_counted(others, words)} {'is' if one else 'are'} no class and left out; if "
            f"{'it' if one else repr(others[0])} means one, write {option}."
        )
    return sentences


def _counted(listed: Iterable[str], words: Mapping[str, int]) -> str:
    return first_of([f"{word!r} ({words[word]})" for word in listed], _SUGGESTED)


def _nearest(word: str, plain: Iterable[str]) -> str | None:
    """The class that a word is most like, or begins: LLMs and people cut names short."""
    begun = [name for name in plain if len(word) >= 3 and name.startswith(word)]
    return begun[0] if len(begun) == 1 else nearest_word(word, plain)
