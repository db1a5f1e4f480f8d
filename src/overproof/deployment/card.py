"""Write an exported student's model card in Markdown: data, teacher, method, results, limitations, citation."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from overproof.data import Kind
from overproof.data.wording import counted
from overproof.deployment.card_text import cell, gain, mean_text, percent, plain, points
from overproof.deployment.graph import GraphInput
from overproof.deployment.int8 import Int8Cost
from overproof.deployment.provenance import Provenance
from overproof.errors import visible
from overproof.evaluation.deployable import own_accuracy
from overproof.models import EmbeddingEncoder, NgramEncoder, Student, TableEncoder
from overproof.teachers import spoken
from overproof.teachers.options import ScorerOptions
from overproof.version import __version__

TASKS: Mapping[str, str] = {
    "image": "image-classification",
    "text": "text-classification",
    "table": "tabular-classification",
}
"""By kind of examples, the task name of the Hugging Face hub."""

_METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "log_loss": "log-loss",
    "ece": "calibration error",
    "agreement": "agreement with the teacher",
    "accuracy_where_teacher_wrong": "accuracy where the teacher is wrong",
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CardFacts:
    """The facts that a model card is written from.

    Args:
        student: The exported student.
        inputs: The inputs of its graph.
        provenance: Its run; None where it was exported without one.
        sizes: Bytes by file.
        int8: Whether there is a graph with int8 weights.
        cost: The change in accuracy by int8 weights, where it was measured.
    """

    student: Student
    inputs: tuple[GraphInput, ...]
    provenance: Provenance | None
    sizes: Mapping[str, int]
    int8: bool
    cost: Int8Cost | None


def card(about: CardFacts) -> str:
    """The model card as Markdown; deterministic for a student and its run."""
    sections = (
        (_title(about), _summary(about)),
        ("## Use", _use(about)),
        ("## Data and labels", _data(about)),
        ("## Teacher", _teacher(about)),
        ("## Method", _method(about)),
        ("## Results", _results(about)),
        ("## Int8 weights", _int8_weights(about)),
        ("## Limitations", _limitations(about)),
        ("## Findings of its run", _findings(about)),
        ("## Reproduction", _reproduction(about)),
        ("## Citation", _citation(about)),
    )
    parts = [
        f"{heading}\n\n" + "\n".join(lines) for heading, lines in ((h, list(made)) for h, made in sections) if lines
    ]
    return visible(f"---\n{_header(about)}---\n\n" + "\n\n".join(parts) + "\n")


def _header(about: CardFacts) -> str:
    source, kind = about.provenance, about.student.kind
    task = TASKS[kind]
    header: dict[str, Any] = {
        "library_name": "onnx",
        "pipeline_tag": task,
        "tags": ["overproof", *(["knowledge-distillation"] if _learned(about) else []), kind, about.student.spec.name],
        "metrics": ["accuracy"],
    }
    if source is not None and source.metrics:
        values = [
            {"type": name, "name": title, "value": round(source.metrics[name], 4)}
            for name, title in _METRICS.items()
            if name in source.metrics
        ]
        dataset = {"name": source.experiment.name, "type": kind, "split": source.judged_on.kind}
        result = {"task": {"type": task}, "dataset": dataset, "metrics": values}
        header["tags"].append(source.row)
        header["model-index"] = [{"name": _name(about), "results": [result]}]
    return yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=100)


def _name(about: CardFacts) -> str:
    source = about.provenance
    return about.student.spec.name if source is None else f"{source.experiment.name}: {source.row}, seed {source.seed}"


def _title(about: CardFacts) -> str:
    return f"# {plain(_name(about))}"


def _summary(about: CardFacts) -> Iterator[str]:
    student, source = about.student, about.provenance
    names = student.class_names
    yield (
        f"A `{student.spec.name}` model with {student.num_parameters:,} trained parameters. It classifies "
        f"{student.kind}s into {len(names)} classes: {', '.join(f'`{name}`' for name in names)}."
    )
    if source is None:
        return
    judged = source.judged_on
    if source.result and judged.kind == "nothing":
        yield f"\n{judged.sentence()}"
    elif interval := _accuracy(source):
        yield f"\n{'Test accuracy' if judged.kind == 'test' else 'Accuracy'}: {interval}."
    else:
        yield "\nIts run is not evaluated yet: its accuracy is unknown."
    over_seeds = source.summary(source.row)
    if over_seeds and over_seeds["num_seeds"] > 1:
        yield (
            f"Mean of the {over_seeds['num_seeds']} seeds of its run: {mean_text(over_seeds)}; this student is of seed "
            f"{source.seed}."
        )
    if judged.kind == "cross-validation":
        yield judged.sentence()
    verdict = source.summary(source.row).get("verdict")
    if verdict:
        yield f"Verdict on the method over all seeds of its run: **{verdict}** (see Results)."


def _use(about: CardFacts) -> Iterator[str]:
    encoder = about.student.encoder
    yield "| file | bytes | content |\n|---|---|---|"
    descriptions = {
        "model.onnx": "the graph, float32",
        "model.int8.onnx": "the same with int8 weights",
        "student.safetensors": "the weights",
        "student.json": "input format and class names; `overproof predict` reads this folder",
        "seen.parquet": "hashes of the rows it was made from, which `overproof predict --risk` leaves out",
        "estimator.skops": "the fitted estimator, for scikit-learn and skops",
        "score.py": "classifies texts with numpy and onnxruntime alone",
        "ngrams.py": "makes n-grams of texts, for `score.py`",
        "tokenizer.json": "the tokenizer, for the package tokenizers",
        "experiment.yaml": "the experiment of its run",
    }
    for name, description in descriptions.items():
        if name in about.sizes:
            yield f"| `{name}` | {about.sizes[name]:,} | {description} |"
    yield "\nInputs of the graph; the batch may have any size:\n\n| input | type | shape | meaning |\n|---|---|---|---|"
    for each in about.inputs:
        shape = ", ".join(map(str, each.shape))
        yield f"| `{cell(each.name)}` | {each.type} | [{shape}] | {cell(each.meaning)} |"
    yield "\nOutputs: `logits` and `probs`, float32 [batch, K], classes in this order (`class_names` in the graph)."
    if about.student.kind == "image":
        yield "Pixels are passed as they are, 0 to 255: the scaling is part of the graph."
    if isinstance(encoder, TableEncoder):
        yield "Standardisation, one-hot encoding and the handling of missing values are part of the graph."
    if isinstance(encoder, NgramEncoder):
        yield '\n```python\nfrom score import Scorer\n\nScorer().probs(["so good"])  # [1, K]\n```'
    elif isinstance(encoder, EmbeddingEncoder):
        yield (
            f"The frozen encoder is not part of the graph: compute the vectors with `{encoder.embedder}`, in the "
            f"version whose fingerprint is given above."
        )
    else:
        yield (
            '\n```python\nimport onnxruntime\n\nsession = onnxruntime.InferenceSession("model.onnx")\n'
            f'(probs,) = session.run(["probs"], inputs)  # arrays by name: {_names(about.inputs)}\n```'
        )


def _data(about: CardFacts) -> Iterator[str]:
    source = about.provenance
    if source is None:
        yield "Unknown: the student was exported without the folder of its run."
        return
    facts, data = source.facts, source.experiment.data
    yield f"Data set: {plain(source.experiment.name)}.\n"
    for role, file in data.files.items():
        chosen = f", rows where {dict(file.where)}" if file.where else ""
        yield f"- `{role}`: `{file.path}`{chosen}"
    counts = {role: count for role, count in data.rows.items() if role != "test" or data.has_test}
    drawn = ", ".join(f"{count if count == 'all' else f'{count:,}'} {role}" for role, count in counts.items())
    if drawn:
        yield f"\nDrawn from them: {drawn}."
    held = facts["num_held_out"]
    held_out = (
        f"; {counted(held, 'more label was', 'more labels were', thousands=',')} held out for model selection"
        if held
        else ""
    )
    num, answers = facts["num_pool"], "teacher answers" if _learned(about) else "their true labels"
    pool = f"and {num:,} unlabelled ones with {answers}" if num or _learned(about) else "alone, without teacher answers"
    yield f"\nTrained on {counted(facts['num_labelled'], 'labelled example', thousands=',')} {pool}{held_out}."
    if data.label_noise.kind != "none":
        yield f"Given labels were corrupted on purpose: {data.label_noise.kind}, {data.label_noise.share:.0%}."
    repeated = {role: count for role, count in source.result.get("repeated_in_test", {}).items() if count}
    for role, count in repeated.items():
        what = "left out" if data.duplicates == "drop" else "not left out"
        also, they = ("is", "it was") if count == 1 else ("are", "they were")
        yield f"{counted(count, 'example', thousands=',')} of `{role}` {also} also in the test set; {they} {what}."


def _teacher(about: CardFacts) -> Iterator[str]:
    source = about.provenance
    if source is None:
        return
    first, *others = (_scorer(each, about.student.kind) for each in source.experiment.scorers)
    if not _learned(about):
        yield "This student was not trained on the answers of its run's teacher:\n"
    yield f"{first[0].upper()}{first[1:]}{', stacked with ' if others else ''}{', '.join(others)}."
    yield from dict.fromkeys(plain(each.licence_said) for each in source.experiment.scorers if each.licence_said)
    if known := source.facts.get("teacher_accuracy"):
        yield (
            f"Out-of-sample accuracy on labelled examples: {percent(known['mean'])} (95 % interval "
            f"{percent(known['low'])} to {percent(known['high'])})."
        )
    if tested := mean_text(source.summary("teacher")):
        test = source.judged_on.kind == "test"
        yield f"{'Test accuracy' if test else f'Accuracy, {source.judged_on.words()}'}: {tested}."


def _scorer(scorer: ScorerOptions, kind: Kind) -> str:
    if scorer.asks:
        return f"the language model `{cell(str(scorer.options['model']))}` at `{cell(str(scorer.options['url']))}`"
    if scorer.answers:
        return f"answers from {', '.join(f'`{path}`' for path in scorer.answers)}"
    return spoken(scorer.model, scorer.folds, kind) if scorer.trained_here else f"the model `{scorer.model}`, as it is"


def _method(about: CardFacts) -> Iterator[str]:
    source = about.provenance
    if source is None:
        return
    each, used = source.options, source.used
    if each is None or used is None:
        yield "Trained on the pool's true labels: an upper bound for comparison, not a method."
        return
    options = f" with {json.dumps(each.options, ensure_ascii=False)}" if each.options else ""
    rounds = f" after up to {each.rounds.most} peer rounds" if each.rounds.most and _learned(about) else ""
    chosen = f", which chose `{used.method}` by the labels" if used != each else ""
    yield f"`{each.method}`{options}{rounds}{chosen}.{' Papers are cited below.' if source.papers() else ''}"


def _results(about: CardFacts) -> Iterator[str]:
    source = about.provenance
    if source is None or not source.metrics:
        return
    metrics = source.metrics
    yield (
        f"This student on {int(metrics['num_examples']):,} test examples:"
        if source.judged_on.kind == "test"
        else f"Students trained as this one, with this seed, {source.judged_on.words()}:"
    )
    yield "\n| metric | value |\n|---|---|"
    for name, title in _METRICS.items():
        if name in metrics:
            value = _accuracy(source) if name == "accuracy" else f"{metrics[name]:.3f}"
            yield f"| {title} | {value} |"
    own = source.summary(source.row)
    if not own:
        return
    yield "\nThe method over all seeds of the run, and the rows it is compared with:\n"
    yield "| row | accuracy | difference | verdict |"
    yield "|---|---|---|---|"
    for row in dict.fromkeys(("teacher", "labelled_only", own.get("baseline"), source.row, "oracle")):
        summary = source.summary(row) if row else {}
        if summary:
            yield f"| {row} | {mean_text(summary)} | {gain(summary)} | {summary.get('verdict') or ''} |"
    yield (
        f"\nIntervals of 95 % ({own['interval']}); differences from {own.get('baseline') or 'no row'}, the best "
        f"conventional row, paired by seed."
    )


def _int8_weights(about: CardFacts) -> Iterator[str]:
    cost = about.cost
    if not about.int8:
        return
    yield (
        "`model.int8.onnx` has int8 weights; activations are quantised by the range of each batch, so that outputs "
        "depend slightly on which examples are in a batch."
    )
    if cost is None:
        yield "The change in accuracy is unknown: no examples with a label that it was not trained on were available."
        return
    ends = f"[{percent(cost.accuracy_int8_low)}, {percent(cost.accuracy_int8_high)}]"
    yield (
        f"On {cost.num_examples:,} test examples its accuracy is {percent(cost.accuracy_int8)} {ends}, that of the "
        f"float32 graph {percent(cost.accuracy)}: a difference of {points(cost.difference)} points "
        f"[{points(cost.low)}, {points(cost.high)}], paired by example; the predicted class differs "
        f"on {cost.num_changed:,} of them."
    )


def _limitations(about: CardFacts) -> Iterator[str]:
    source, names = about.provenance, about.student.class_names
    if _learned(about):
        yield (
            "- **Its errors are systematic.** It was trained on the answers of an imperfect teacher and repeats errors "
            "that the teacher makes consistently on similar examples; averaging over many predictions does not remove "
            "them."
        )
    if source is not None:
        facts = source.facts
        if _learned(about) and facts.get("mistakes_learned") is not None:
            yield f"- On the pool it repeats {percent(facts['mistakes_learned'])} of its teacher's errors."
        kept = facts.get("pool_classes", {}).get("kept", {})
        if missing := [name for name, count in kept.items() if not count]:
            classes = ", ".join(f"`{name}`" for name in missing)
            yield f"- No pool example with the pseudo-label {classes} was used in training."
        if facts["num_labelled"] == 0:
            yield "- It was trained without true labels."
    yield (
        f"- It has {len(names)} classes and assigns every input to one of them, also an input of a class that was not "
        f"in the training data."
    )
    like = "labelled rows" if source is not None and source.judged_on.kind == "cross-validation" else "test set"
    yield (
        f"- All metrics hold for data distributed like the {like}. Performance on other data and on subgroups is "
        "unknown."
    )
    if source is not None and "ece" in source.metrics:
        yield (
            f"- Its probabilities have a calibration error of {source.metrics['ece']:.3f}; choose a threshold on "
            f"labelled examples of your own (`overproof predict --risk`), not by the value of a probability."
        )


def _findings(about: CardFacts) -> Iterator[str]:
    source = about.provenance
    for finding in () if source is None else source.result.get("findings", ()):
        yield f"- {plain(finding)}"


def _reproduction(about: CardFacts) -> Iterator[str]:
    source = about.provenance
    if source is None:
        return
    small = " --int8" if about.int8 else ""
    yield (
        f"With overproof {__version__} and the data listed above:\n\n```\noverproof run experiment.yaml --out run\n"
        f"overproof export run/students/seed-{source.seed}/{source.row} --out export{small}\n```\n\n"
        "Relative paths in `experiment.yaml` start at the folder in which the run was made: give the commands there, "
        "with the path of this `experiment.yaml`."
    )


def _citation(about: CardFacts) -> Iterator[str]:
    papers = [] if about.provenance is None else about.provenance.papers()
    if papers:
        yield "```bibtex\n" + "\n".join(paper.bibtex().strip() for paper in papers) + "\n```"


def _learned(about: CardFacts) -> bool:
    """Whether the student learned from a teacher's answers; so it is said of one without a run."""
    return about.provenance is None or about.provenance.learned_answers


def _accuracy(source: Provenance) -> str:
    metrics = source.metrics
    if not metrics:
        return ""
    num = int(metrics["num_examples"])
    accuracy, low, high = own_accuracy(metrics, cross_validated=source.judged_on.kind == "cross-validation")
    assert accuracy is not None
    assert low is not None
    assert high is not None
    return f"{percent(accuracy)} (95 % interval {percent(low)} to {percent(high)}, {num:,} examples)"


def _names(inputs: Sequence[GraphInput]) -> str:
    shown = ", ".join(each.name for each in inputs[:5])
    return shown + (", …" if len(inputs) > 5 else "")
