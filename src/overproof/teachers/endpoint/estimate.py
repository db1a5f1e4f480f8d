"""What a job would use, from a sample of its questions, before it is asked or after the sample was."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from overproof.teachers.endpoint.asking import AskedJob
from overproof.teachers.endpoint.pace import estimated_tokens
from overproof.teachers.endpoint.request import Form

NUM_SAMPLED = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What is left of a job would use.

    Args:
        num_questions: Different ones, all.
        num_left: Those that are to be asked.
        num_sampled: How many the numbers are from.
        sent: Whether these were asked: the numbers are then the server's.
        prompt_tokens: Of all that are left.
        answer_tokens: The same of answers.
        most_answer_tokens: If each were as long as is allowed.
        cost: In the currency of the prices; None without prices.
        most_cost: With the longest answers.
        seconds: None where nothing was sent.
    """

    num_questions: int
    num_left: int
    num_sampled: int
    sent: bool
    prompt_tokens: float
    answer_tokens: float
    most_answer_tokens: float
    cost: float | None
    most_cost: float | None
    seconds: float | None

    def sentences(self) -> list[str]:
        """For people."""
        basis = (
            f"measured on {self.num_sampled} sampled questions, which were asked and are stored"
            if self.sent
            else f"estimated from the length of {self.num_sampled} sampled questions, 4 bytes a token; none was sent"
        )
        said = [
            f"{self.num_left} of {self.num_questions} different questions are left to ask.",
            f"Tokens: about {self.prompt_tokens:,.0f} of prompts and {self.answer_tokens:,.0f} of answers, at most "
            f"{self.most_answer_tokens:,.0f}; {basis}.",
        ]
        if self.cost is not None:
            said.append(f"Cost: about {self.cost:.4g}, at most {self.most_cost:.4g} with the longest answers.")
        else:
            said.append("Cost: unknown without --price-in and --price-out (for a million tokens each).")
        if self.seconds is not None:
            said.append(f"Time: about {self.seconds:,.0f} seconds.")
        return said

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "num_questions": self.num_questions,
            "num_left": self.num_left,
            "num_sampled": self.num_sampled,
            "basis": "measured" if self.sent else "characters",
            "prompt_tokens": round(self.prompt_tokens),
            "answer_tokens": round(self.answer_tokens),
            "most_answer_tokens": round(self.most_answer_tokens),
            "cost": self.cost,
            "most_cost": self.most_cost,
            "seconds": self.seconds,
        }


def sampled(prompts: Sequence[str], seed: int = 0) -> list[str]:
    """Some of the different questions, the same ones each time.

    Args:
        prompts: All.
        seed: Of the draw.
    """
    different = list(dict.fromkeys(prompts))
    return random.Random(seed).sample(different, min(NUM_SAMPLED, len(different)))


def estimated(prompts: Sequence[str], num_left: int, form: Form, measured: AskedJob | None = None) -> Forecast:
    """What is left of a job would use.

    Args:
        prompts: All questions.
        num_left: How many different ones are to be asked.
        form: What is the same in all of them.
        measured: What asking the sample has come to; None where nothing was sent.

    Example:
        A prompt of 400 bytes has about 100 tokens.
    """
    some = sampled(prompts)
    names = [estimated_tokens(name) for name in form.class_names]
    each_prompt = sum(map(estimated_tokens, some)) / max(len(some), 1)
    # A name, and what JSON puts around it.
    each_answer = (sum(names) / 2 if form.options.answer == "set" else sum(names) / len(names)) + 6
    seconds = None
    sent = measured is not None and measured.used_now.calls > 0
    if sent:
        assert measured is not None
        now = measured.used_now
        each_prompt, each_answer = now.prompt_tokens / now.calls, now.answer_tokens / now.calls
        seconds = measured.seconds / now.calls * num_left
    prompt_tokens, answer_tokens = each_prompt * num_left, each_answer * num_left
    most = float(form.answer_tokens * num_left)
    return Forecast(
        num_questions=len(set(prompts)),
        num_left=num_left,
        num_sampled=len(some),
        sent=sent,
        prompt_tokens=prompt_tokens,
        answer_tokens=answer_tokens,
        most_answer_tokens=most,
        cost=form.options.cost(prompt_tokens, answer_tokens),
        most_cost=form.options.cost(prompt_tokens, most),
        seconds=seconds,
    )
