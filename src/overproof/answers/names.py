"""Names of columns that hold answers in files of many tools: what each is read as, and which may not be ignored."""

import re

LABELS = (
    "label",
    "prediction",
    "predict",
    "predicted",
    "pred",
    "predicted_label",
    "predicted_class",
    "pred_label",
    "pred_class",
    "class",
    "answer",
)
"""Columns that name one class; the first that a file has is its `label`."""

CONFIDENCES = ("confidence", "score", "probability", "prob", "proba", "p", "certainty")
"""Columns of one number: the probability of the class that the label names."""

LOGARITHMS = ("logprob", "log_prob", "logprobs", "log_probability", "logprobability")
"""Columns of one number: its natural logarithm."""

NAME_LISTS = ("top_classes", "labels", "classes", "class_names", "top_labels", "candidates", "candidate_labels")
"""Columns of lists of class names, each beside a list of numbers in the same order."""

NUMBER_LISTS = ("top_probs", "scores", "probs", "probabilities", "top_scores", "confidences", "proba", "prob")
LOGARITHM_LISTS = ("top_logprobs", "logprobs", "log_probs", "log_probabilities")

CROWD_KIT = frozenset({"task", "worker", "label"})
"""The columns of votes as crowd-kit has them: the id, the annotator and the class."""

INCLUSION, DRAWN = "inclusion_probability", "drawn"
"""Columns about how a row was drawn to be answered (`overproof.runs.asking.draws`)."""

NOT_READ = ("margin", "residual", "abstained", "annotator", INCLUSION, DRAWN)
"""Columns that `overproof` itself writes beside answers, and the name of who answered."""

_ANSWERS = frozenset(
    re.findall(
        r"\w+",
        """label labels class classes prediction predictions predicted predict pred preds yhat ypred score scores
    probability probabilities prob probs proba probas logprob logprobs logproba logit logits confidence confidences
    certainty likelihood softmax posterior answer answers vote votes choice choices accept""",
    )
)
_SOMETHING_ELSE = frozenset(
    re.findall(
        r"\w+",
        """time date seconds ms at by model version source length len tokens token count cost reason reasons explanation
    rationale text prompt comment note notes url true truth gold actual target reference expected correct""",
    )
)


def plain(name: str) -> str:
    """A column's name in the spelling of these lists.

    Example:
        >>> plain("Predicted Class"), plain("log-prob")
        ('predicted_class', 'log_prob')
    """
    return re.sub(r"[ .-]+", "_", name.strip().lower())


def is_answer(name: str) -> bool:
    """Whether a column is an answer by its name, alone or with the name of something.

    Example:
        >>> columns = ("Prediction", "prob_cat", "predictedClass", "model_answer", "answer_model", "text")
        >>> [name for name in columns if is_answer(name)]
        ['Prediction', 'prob_cat', 'predictedClass', 'model_answer']
    """
    apart = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name).lower()
    words = [word for word in re.split(r"[^a-z]+", apart) if word]
    # A model's answer is an answer, the model of an answer is none.
    about = set(words[:-1]) - {"model"} | set(words[-1:])
    if _SOMETHING_ELSE & about:
        return False
    return bool(_ANSWERS & set(words)) or "".join(words) in _ANSWERS
