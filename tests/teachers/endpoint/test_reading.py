"""What a raw answer is taken for: strict rules, each of them counted, and nothing where they do not hold."""

import pytest

from overproof.teachers.endpoint.reading import Raw, raw_of, read_answer

NAMES = ("return", "return policy", "Billing", "other")


@pytest.mark.parametrize(
    ("text", "named", "rule"),
    [
        ("Billing", "Billing", "as a name"),
        (' "billing." ', "Billing", "as a name"),
        ("`return`", "return", "as a name"),
        ('{"label": "return policy"}', "return policy", "as JSON"),
        ('```json\n{"label": "other"}\n```', "other", "as JSON"),
        ("<think>return or other?</think>\nother", "other", "as a name"),
        ("The class is: return policy.", "return policy", "by a mention"),
        ("**Billing**", "Billing", "as a name"),
        ("This is a billing question", "Billing", "by a mention"),
        ("It is not billing", None, "it names no class by the rules"),
        ("It isn’t billing", None, "it names no class by the rules"),
        ("billing or other", None, "it mentions several classes"),
        ("return, not return policy", None, "it mentions several classes"),
        ("another one", None, "it names no class by the rules"),
        ("rebilling", None, "it names no class by the rules"),
        ('{"label": "refund"}', None, "its JSON names no class"),
        ('{"label": ["other", "return"]}', None, "its JSON names no class"),
        ('{"label": null}', None, "its JSON names no class"),
        ('{"answer": "other"}', None, "its JSON names no class"),
        ("", None, "it is empty"),
        (None, None, "it is empty"),
        ("<think>other?</think>", None, "it is empty"),
        ("<think>other", "other", "by a mention"),
    ],
)
def test_one_class(text, named, rule):
    found = read_answer(Raw(text=text), NAMES)
    assert (found.named, found.rule) == (() if named is None else (named,), rule)


def test_classes_that_differ_in_case_alone_are_named_as_they_are_written():
    names = ("Return", "return", "other")
    assert read_answer(Raw(text="Return"), names).named == ("Return",)
    assert read_answer(Raw(text="RETURN"), names).named == ()
    assert read_answer(Raw(text="I think it is return"), names).named == ()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"labels": ["other", "Billing"]}', ("Billing", "other")),
        ('{"labels": []}', ()),
        ('{"labels": ["other", "refund"]}', ()),
        ("other, return", ("return", "other")),
        ("- Billing\n- other\n", ("Billing", "other")),
        ("billing", ("Billing",)),
        ("billing and perhaps other", ()),
    ],
)
def test_sets_of_classes(text, named):
    assert read_answer(Raw(text=text), NAMES, several=True).named == named


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (Raw(text="other", refusal="I must not"), "the model refuses"),
        (Raw(text="other", finish="content_filter"), "the server's filter left it out"),
        (Raw(text="Let me think about", finish="length"), "it was cut before it named a class"),
        (Raw(text=None, finish="length"), "it was cut before it named a class"),
    ],
)
def test_refused_filtered_and_cut_answers_say_nothing(raw, rule):
    found = read_answer(raw, NAMES)
    assert (found.named, found.rule) == ((), rule)


def first(**logprobs):
    top = [{"token": token, "logprob": value} for token, value in logprobs.items()]
    choice = {"message": {"content": "Billing"}, "logprobs": {"content": [{"token": "B", "top_logprobs": top}]}}
    return raw_of({"choices": [choice]})


def test_log_probabilities_of_first_tokens_are_those_of_the_class_that_starts_so():
    found = read_answer(first(B=-0.2, Bill=-3.0, oth=-2.5, The=-4.0), ("return", "Billing", "other"), use_logprobs=True)
    assert found.logprobs == pytest.approx({"Billing": -0.14099, "other": -2.5}, abs=1e-4)


@pytest.mark.parametrize(
    ("logprobs", "names", "why"),
    [
        ({"re": -0.1, "b": -3.0}, ("return", "refund"), "do not differ in their first tokens"),
        ({"The": -0.1, "B": -3.0}, ("other", "Billing"), "the first token names no class"),
        ({"oth": -0.1, "B": -3.0}, ("other", "Billing"), "names another class than its likeliest first token"),
        ({}, ("other", "Billing"), "returned no log-probabilities"),
        ({"B": -0.1}, ("other", "Billing"), "returned no log-probabilities"),
    ],
)
def test_log_probabilities_that_say_nothing_of_the_classes_are_not_used(logprobs, names, why):
    names = (*names, "Billing") if "Billing" not in names else names
    found = read_answer(first(**logprobs), names, use_logprobs=True)
    assert found.logprobs is None
    assert why in found.beside
    assert found.named == ("Billing",)


@pytest.mark.parametrize("broken", [None, [], {"content": None}, {"content": [None]}, {"content": [{"top_logprobs": [
    {"token": 1, "logprob": "a"}, None]}]}])  # fmt: skip
def test_log_probabilities_of_another_form_are_none(broken):
    assert raw_of({"choices": [{"message": {"content": "a"}, "logprobs": broken}]}).first is None
