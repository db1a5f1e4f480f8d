"""What a raw answer says: a class, a set of classes, probabilities of classes, or nothing; and by which rule.

The rules are tried in this order, and each is counted:

1. JSON: an object with `label` (or `labels`) that names classes.
2. A name: the whole answer is the name of a class, but for case and for blanks, quotes and full stops around it.
3. A mention: the answer mentions one class as a whole word, no other one, and denies nothing. (For sets: all parts
   between commas, semicolons or line ends are names.)

Any other answer says nothing, and its example is unanswered.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from overproof.answers.words import plain_word

LEAST_NAMED = 0.5
"""The log-probabilities of a first token are used where the classes have this much probability in all."""

NO_LOGPROBS = "the server returned no log-probabilities"
"""Why there are none where they were asked for."""

_FENCE = re.compile(r"\A```(?:json)?\s*\n(.*)\n```\Z", re.DOTALL)
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>\s*", re.DOTALL)
_DENIED = re.compile(r"\b(?:not|no|nor|neither|never|none|cannot)\b|n['’]t\b")


@dataclass(frozen=True, kw_only=True, slots=True)
class Raw:
    """A raw answer.

    Args:
        text: The model's words; None where there are none.
        finish: Why it ended, as the server says.
        refusal: What the server says of a refusal.
        model: The model's name and version, as the server says.
        first: Log-probabilities by first token; None where the server returned none.
    """

    text: str | None
    finish: str = ""
    refusal: str = ""
    model: str = ""
    first: Mapping[str, float] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Meaning:
    """What an answer says.

    Args:
        named: The classes that it names; empty where it says nothing.
        rule: By which rule, or why it says nothing.
        logprobs: Log-probabilities by class, where they were asked for and can be used.
        beside: Why they cannot; empty where they can, or were not asked for.
    """

    named: tuple[str, ...]
    rule: str
    logprobs: Mapping[str, float] | None = None
    beside: str = ""


def raw_of(body: Mapping[str, Any]) -> Raw:
    """The parts of a chat completion that count.

    Args:
        body: The response, which has one choice with a message.
    """
    choice = body["choices"][0]
    message = choice["message"]
    refusal = message.get("refusal")
    model = body.get("model")
    return Raw(
        text=message.get("content"),
        finish=str(choice.get("finish_reason") or ""),
        refusal=refusal if isinstance(refusal, str) else "",
        model=model if isinstance(model, str) else "",
        first=_first_token(choice.get("logprobs")),
    )


def read_answer(raw: Raw, class_names: Sequence[str], *, several: bool = False, use_logprobs: bool = False) -> Meaning:
    """What a raw answer says.

    Args:
        raw: The answer.
        class_names: K names.
        several: Whether it is a set of classes.
        use_logprobs: Whether log-probabilities of the first token are wanted.

    Example:
        >>> read_answer(Raw(text=" Billing."), ["billing", "other"]).named
        ('billing',)
        >>> read_answer(Raw(text="It is not billing."), ["billing", "other"]).rule
        'it names no class by the rules'
    """
    if raw.refusal:
        return Meaning(named=(), rule="the model refuses")
    if raw.finish == "content_filter":
        return Meaning(named=(), rule="the server's filter left it out")
    text = _THOUGHT.sub("", raw.text or "").strip()
    if not text:
        return Meaning(named=(), rule="it is empty" if raw.finish != "length" else "it was cut before it named a class")
    named, rule = _named(text, class_names, several)
    if not named:
        cut = raw.finish == "length"
        return Meaning(named=(), rule="it was cut before it named a class" if cut and rule != "an empty set" else rule)
    if not use_logprobs:
        return Meaning(named=named, rule=rule)
    logprobs, why = first_token_logprobs(raw.first, named[0], class_names)
    return Meaning(named=named, rule=rule, logprobs=logprobs, beside=why)


def first_token_logprobs(
    first: Mapping[str, float] | None, named: str, class_names: Sequence[str]
) -> tuple[Mapping[str, float] | None, str]:
    """Log-probabilities of the classes from those of the first token, or why there are none.

    A token stands for the class whose name alone starts with it. Probabilities of several tokens of one class are
    added.

    Args:
        first: Log-probabilities by first token.
        named: The class that the answer names.
        class_names: K names.

    Example:
        >>> first_token_logprobs({"b": -0.1, "o": -2.4, "I": -6.0}, "billing", ["billing", "other"])
        ({'billing': -0.1, 'other': -2.4}, '')
        >>> first_token_logprobs({"re": -0.1}, "return", ["return", "refund"])[1]
        'the classes do not differ in their first tokens'
    """
    if first is None:
        return None, NO_LOGPROBS
    plain = {name: plain_word(name) for name in class_names}
    found: dict[str, float] = {}
    unclear = 0.0
    for token, logprob in first.items():
        word = token.strip(" \t\r\n\"'`*▁Ġ").casefold()
        if not word or math.isnan(logprob):
            continue
        meant = [name for name in class_names if plain[name].startswith(word)]
        if len(meant) == 1:
            found[meant[0]] = found.get(meant[0], 0.0) + math.exp(min(logprob, 0.0))
        elif meant:
            unclear += math.exp(min(logprob, 0.0))
    if unclear > 0.01:
        return None, "the classes do not differ in their first tokens"
    if sum(found.values()) < LEAST_NAMED:
        return None, "the first token names no class"
    if max(found, key=lambda name: found[name]) != named:
        return None, "the answer names another class than its likeliest first token"
    return {name: round(math.log(min(prob, 1.0)), 12) if prob > 0 else -1e3 for name, prob in found.items()}, ""


def _named(text: str, class_names: Sequence[str], several: bool) -> tuple[tuple[str, ...], str]:
    plain: dict[str, list[str]] = {}
    for name in class_names:
        plain.setdefault(plain_word(name), []).append(name)

    def exact(word: Any) -> str | None:
        if not isinstance(word, str):
            return None
        meant = [word] if word in class_names else plain.get(plain_word(word), [])
        return meant[0] if len(meant) == 1 else None

    if (found := _of_json(text)) is not None:
        words = found.get("labels" if several else "label")
        words = words if isinstance(words, list) else [words]
        if not words:
            return (), "an empty set"
        meant = [exact(word) for word in words]
        if (several or len(meant) == 1) and None not in meant:
            return tuple(name for name in class_names if name in meant), "as JSON"
        return (), "its JSON names no class"
    if (one := exact(text)) is not None:
        return (one,), "as a name"
    if several:
        parts = [part for part in re.split(r"[,;\n]|\band\b", text.strip("[]")) if part.strip(" \t-*\"'.")]
        meant = [exact(part.strip(" \t-*[]")) for part in parts]
        if meant and None not in meant:
            return tuple(name for name in class_names if name in meant), "as a list of names"
        return (), "it names no class by the rules"
    return _mentioned(text, class_names)


def _mentioned(text: str, class_names: Sequence[str]) -> tuple[tuple[str, ...], str]:
    left, found = text.casefold(), list[str]()
    spelt: dict[str, list[str]] = {}
    for name in class_names:
        spelt.setdefault(name.strip().casefold(), []).append(name)
    # The longer first: 'return policy' mentions no 'return'.
    for word in sorted(spelt, key=len, reverse=True):
        pattern = rf"(?<!\w){re.escape(word)}(?!\w)"
        if re.search(pattern, left):
            found += spelt[word]
            left = re.sub(pattern, " ", left)
    if len(found) > 1:
        return (), "it mentions several classes"
    if not found or _DENIED.search(left):
        return (), "it names no class by the rules"
    return (found[0],), "by a mention"


def _of_json(text: str) -> dict[str, Any] | None:
    if fenced := _FENCE.match(text):
        text = fenced[1]
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _first_token(logprobs: Any) -> dict[str, float] | None:
    """Log-probabilities by first token, as chat completions hold them."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    first = content[0] if isinstance(content, list) and content and isinstance(content[0], dict) else None
    top = first.get("top_logprobs") if first is not None else None
    if not isinstance(top, list) or len(top) < 2:
        return None
    found: dict[str, float] = {}
    for each in top:
        token, value = (each.get("token"), each.get("logprob")) if isinstance(each, dict) else (None, None)
        if isinstance(token, str) and isinstance(value, int | float) and not isinstance(value, bool):
            found[token] = max(found.get(token, -math.inf), float(value))
    return found or None
