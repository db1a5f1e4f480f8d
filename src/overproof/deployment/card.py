"""A model card in Markdown: what the student is, what it was trained on, how good it is, and where its limits are."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from overproof.deployment.graph import GraphInput
from overproof.deployment.int8 import Int8Cost
from overproof.deployment.provenance import Provenance
from overproof.functional.intervals import accuracy_interval
from overproof.models import EmbeddingEncoder, NgramEncoder, Student, TableEncoder
from overproof.version import __version__

TASKS: Mapping[str, str] = {
    "image": "image-classification",
    "text": "text-classification",
    "table": "tabular-classification",
}
"""By kind of examples, the word of the Hugging Face hub."""

_METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "log_loss": "log-loss",
    "ece": "calibration error",
    "agreement": "agreement with the teacher",
    "accuracy_where_teacher_wrong": "accuracy where the teacher is wrong",
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Exportee:
    """What a card tells of.

    Args:
        student: Who.
        inputs: What its graph reads.
        provenance: Its run; None where it was exported by itself.
        sizes: Bytes by file.
        int8: Whether there is a graph with weights of eight bits.
        cost: What that costs, where it could be measured.
    """

    student: Student
    inputs: tuple[GraphInput, ...]
    provenance: Provenance | None
    sizes: Mapping[str, int]
    int8: bool
    cost: Int8Cost | None


def card(exportee: Exportee) -> str:
    """The card; the same for the same student and run."""
    sections = (
        (_title(exportee), _summary(exportee)),
        ("## Use", _use(exportee)),
        ("## Data and labels", _data(exportee)),
        ("## Teacher", _teacher(exportee)),
        ("## Method", _method(exportee)),
        ("## Results", _results(exportee)),
        ("## Eight bits", _eight_bits(exportee)),
        ("## Limits", _limits(exportee)),
        ("## Findings of its run", _findings(exportee)),
        ("## Reproduction", _reproduction(exportee)),
        ("## Citation", _citation(exportee)),
    )
    parts = [
        f"{heading}\n\n" + "\n".join(lines) for heading, lines in ((h, list(made)) for h, made in sections) if lines
    ]
    return f"---\n{_header(exportee)}---\n\n" + "\n\n".join(parts) + "\n"


def _header(exportee: Exportee) -> str:
    source, kind = exportee.provenance, exportee.student.kind
    task = TASKS[kind]
    header: dict[str, Any] = {
        "library_name": "onnx",
        "pipeline_tag": task,
        "tags": ["overproof", "knowledge-distillation", kind, exportee.student.spec.name],
        "metrics": ["accuracy"],
    }
    if source is not None and source.metrics:
        values = [
            {"type": name, "name": words, "value": round(source.metrics[name], 4)}
            for name, words in _METRICS.items()
            if name in source.metrics
        ]
        dataset = {"name": source.experiment.name, "type": kind, "split": "test"}
        result = {"task": {"type": task}, "dataset": dataset, "metrics": values}
        header["tags"].append(source.row)
        header["model-index"] = [{"name": _name(exportee), "results": [result]}]
    return yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=100)


def _name(exportee: Exportee) -> str:
    source = exportee.provenance
    return (
        exportee.student.spec.name if source is None else f"{source.experiment.name}: {source.row}, seed {source.seed}"
    )


def _title(exportee: Exportee) -> str:
    return f"# {_plain(_name(exportee))}"


def _summary(exportee: Exportee) -> Iterator[str]:
    student, source = exportee.student, exportee.provenance
    names = student.class_names
    yield (
        f"A student of kind `{student.spec.name}` with {student.num_parameters:,} trained numbers. It tells "
        f"{len(names)} classes of {student.kind}s apart: {', '.join(f'`{name}`' for name in names)}."
    )
    if source is None:
        return
    interval = _accuracy(source.metrics)
    yield (
        f"\nAccuracy on the test: {interval}." if interval else "\nIts run is not evaluated yet: nobody has tested it."
    )
    verdict = source.summary(source.row).get("verdict")
    if verdict:
        yield f"Verdict on the method over the seeds of its run: **{verdict}** (see Results)."


def _use(exportee: Exportee) -> Iterator[str]:
    encoder = exportee.student.encoder
    yield "| file | bytes | what |\n|---|---|---|"
    told = {
        "model.onnx": "the graph, float32",
        "model.int8.onnx": "the same with weights of eight bits",
        "student.safetensors": "the weights",
        "student.json": "what the student reads, and its class names; `overproof predict` takes this folder",
        "estimator.skops": "the fitted estimator, for scikit-learn and skops",
        "score.py": "classes of texts with numpy and onnxruntime alone",
        "tokenizer.json": "texts to tokens, for the package tokenizers",
        "experiment.yaml": "all of the run it comes from",
    }
    for name, words in told.items():
        if name in exportee.sizes:
            yield f"| `{name}` | {exportee.sizes[name]:,} | {words} |"
    yield "\nInputs of the graph; the batch may have any size:\n\n| input | type | shape | what |\n|---|---|---|---|"
    for each in exportee.inputs:
        shape = ", ".join(map(str, each.shape))
        yield f"| `{_cell(each.name)}` | {each.type} | [{shape}] | {_cell(each.meaning)} |"
    yield (
        "\nOutputs: `logits` and `probs`, float32 [batch, K], classes in the order above; it is also in the metadata "
        "of the graph, as JSON under `class_names`."
    )
    if exportee.student.kind == "image":
        yield "Pixels go in as they are, 0 to 255: the scaling is in the graph."
    if isinstance(encoder, TableEncoder):
        yield "Standardising, one-hot coding and the treatment of gaps are in the graph."
    if isinstance(encoder, NgramEncoder):
        yield '\n```python\nfrom score import Scorer\n\nScorer().probs(["so good"])  # [1, K]\n```'
    elif isinstance(encoder, EmbeddingEncoder):
        yield (
            f"The frozen encoder is not in the graph: make the vectors with `{encoder.embedder}`, exactly the one "
            f"whose fingerprint stands above."
        )
    else:
        yield (
            '\n```python\nimport onnxruntime\n\nsession = onnxruntime.InferenceSession("model.onnx")\n'
            f'(probs,) = session.run(["probs"], inputs)  # arrays by name: {_names(exportee.inputs)}\n```'
        )


def _data(exportee: Exportee) -> Iterator[str]:
    source = exportee.provenance
    if source is None:
        yield "Not known here: the student was exported by itself, not from the folder of its run."
        return
    facts, data = source.facts, source.experiment.data
    yield f"Data set: {_plain(source.experiment.name)}.\n"
    for role, file in data.files.items():
        chosen = f", rows where {dict(file.where)}" if file.where else ""
        yield f"- `{role}`: `{file.path}`{chosen}"
    drawn = ", ".join(f"{count:,} {role}" for role, count in data.rows.items())
    if drawn:
        yield f"\nDrawn from them: {drawn}."
    held = facts["num_held_out"]
    held_out = f"; {held:,} more labels were held out of training to decide things by" if held else ""
    yield (
        f"\nTrained on {facts['num_labelled']:,} labelled examples and {facts['num_pool']:,} unlabelled ones with the "
        f"teacher's answers{held_out}."
    )
    if data.label_noise.kind != "none":
        yield f"Given labels were corrupted on purpose: {data.label_noise.kind}, {data.label_noise.share:.0%}."
    repeated = {role: count for role, count in source.result.get("repeated_in_test", {}).items() if count}
    for role, count in repeated.items():
        what = "left out" if data.duplicates == "drop" else "not left out"
        yield f"{count:,} examples of `{role}` also stand in the test; they were {what}."


def _teacher(exportee: Exportee) -> Iterator[str]:
    source = exportee.provenance
    if source is None:
        return
    teacher = source.experiment.teacher
    answered = f"answers from {', '.join(f'`{path}`' for path in teacher.answers)}" if teacher.answers else ""
    yield f"`{teacher.model}`{': ' + answered if answered else ''}" + (
        f", stacked with {', '.join(f'`{each.model}`' for each in teacher.others)}." if teacher.others else "."
    )
    if known := source.facts.get("teacher_accuracy"):
        yield (
            f"Out of sample on labelled examples it is right {_percent(known['mean'])} of the time (95 % interval "
            f"{_percent(known['low'])} to {_percent(known['high'])})."
        )
    if tested := _row_words(source.summary("teacher")):
        yield f"On the test: {tested}."


def _method(exportee: Exportee) -> Iterator[str]:
    source = exportee.provenance
    if source is None:
        return
    each = source.options
    if each is None:
        yield "Trained on the pool's true labels: the upper end of the table, no method one could deploy otherwise."
        return
    options = f" with {json.dumps(each.options, ensure_ascii=False)}" if each.options else ""
    rounds = f" after up to {each.rounds.most} rounds of peers" if each.rounds.most else ""
    yield f"`{each.method}`{options}{rounds}. Papers are cited below."


def _results(exportee: Exportee) -> Iterator[str]:
    source = exportee.provenance
    if source is None or not source.metrics:
        return
    metrics = source.metrics
    yield f"This student on {int(metrics['num_examples']):,} test examples:\n\n| metric | value |\n|---|---|"
    for name, words in _METRICS.items():
        if name in metrics:
            value = _accuracy(metrics) if name == "accuracy" else f"{metrics[name]:.3f}"
            yield f"| {words} | {value} |"
    own = source.summary(source.row)
    if not own:
        return
    yield "\nThe method over the seeds of the run, beside the other rows:\n\n| row | accuracy | difference | verdict |"
    yield "|---|---|---|---|"
    for row in dict.fromkeys(("teacher", "labelled_only", own.get("baseline"), source.row, "oracle")):
        summary = source.summary(row) if row else {}
        if summary:
            gain = _gain(summary)
            yield f"| {row} | {_row_words(summary)} | {gain} | {summary.get('verdict') or ''} |"
    yield (
        f"\nIntervals at 95 % ({own['interval']}); differences are to {own.get('baseline') or 'no row'}, the best "
        f"conventional one, paired by seed."
    )


def _eight_bits(exportee: Exportee) -> Iterator[str]:
    cost = exportee.cost
    if not exportee.int8:
        return
    yield (
        "`model.int8.onnx` holds weights of eight bits; what flows between them is quantised by the range of each "
        "batch, so that answers depend a little on which examples share a batch."
    )
    if cost is None:
        yield "What that costs is not known: no labelled examples were at hand."
        return
    ends = f"[{_percent(cost.accuracy_int8_low)}, {_percent(cost.accuracy_int8_high)}]"
    yield (
        f"On {cost.num_examples:,} test examples its accuracy is {_percent(cost.accuracy_int8)} {ends} beside "
        f"{_percent(cost.accuracy)}: {_points(cost.difference)} points "
        f"[{_points(cost.low)}, {_points(cost.high)}], paired by example; they name different classes "
        f"on {cost.num_changed:,} of them."
    )


def _limits(exportee: Exportee) -> Iterator[str]:
    source, names = exportee.provenance, exportee.student.class_names
    yield (
        "- **Its mistakes are systematic.** It has learned from a teacher that errs, and where the teacher errs alike "
        "on like examples the student does too; asking it twice, or about many, does not average that out."
    )
    if source is not None:
        facts = source.facts
        if facts.get("mistakes_learned") is not None:
            yield f"- On the pool it repeats {_percent(facts['mistakes_learned'])} of its teacher's mistakes."
        kept = facts.get("pool_classes", {}).get("kept", {})
        if missing := [name for name, count in kept.items() if not count]:
            words = ", ".join(f"`{name}`" for name in missing)
            yield f"- Of the pool it saw no example that the teacher calls {words}."
        if facts["num_labelled"] == 0:
            yield "- It was trained without a single true label."
    yield (
        f"- It knows {len(names)} classes and no others: whatever it is shown, it names one of them, and the "
        f"probability of a class it has never seen is divided among these."
    )
    yield "- All numbers are for examples drawn like the test's; for others, and for groups within them, nobody knows."
    if source is not None and "ece" in source.metrics:
        yield (
            f"- Its probabilities are off by {source.metrics['ece']:.3f} on average (calibration error); choose a "
            f"threshold on labels of your own (`overproof predict --risk`), not by the look of a probability."
        )


def _findings(exportee: Exportee) -> Iterator[str]:
    source = exportee.provenance
    for finding in () if source is None else source.result.get("findings", ()):
        yield f"- {_plain(finding)}"


def _reproduction(exportee: Exportee) -> Iterator[str]:
    source = exportee.provenance
    if source is None:
        return
    small = " --int8" if exportee.int8 else ""
    yield (
        f"With overproof {__version__} and the data named above:\n\n```\noverproof run experiment.yaml --out run\n"
        f"overproof export run/students/seed-{source.seed}/{source.row} --out export{small}\n```"
    )


def _citation(exportee: Exportee) -> Iterator[str]:
    papers = [] if exportee.provenance is None else exportee.provenance.papers()
    if papers:
        yield "```bibtex\n" + "\n".join(paper.bibtex().strip() for paper in papers) + "\n```"


def _accuracy(metrics: Mapping[str, float]) -> str:
    if not metrics:
        return ""
    num = int(metrics["num_examples"])
    low, high = accuracy_interval(round(metrics["accuracy"] * num), num)
    return f"{_percent(metrics['accuracy'])} (95 % interval {_percent(low)} to {_percent(high)}, {num:,} examples)"


def _row_words(summary: Mapping[str, Any]) -> str:
    if not summary:
        return ""
    known = summary["low"] is not None
    return _percent(summary["mean"]) + (f" [{_percent(summary['low'])}, {_percent(summary['high'])}]" if known else "")


def _gain(summary: Mapping[str, Any]) -> str:
    if summary["difference"] is None or summary["method"] == summary["baseline"]:
        return ""
    ends = summary["difference_low"], summary["difference_high"]
    words = f" [{_points(ends[0])}, {_points(ends[1])}]" if None not in ends else ""
    return _points(summary["difference"]) + words


def _names(inputs: Sequence[GraphInput]) -> str:
    shown = ", ".join(each.name for each in inputs[:5])
    return shown + (", …" if len(inputs) > 5 else "")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * share:+z.1f}"


def _plain(text: str) -> str:
    """One line, without what Markdown or HTML would take for markup."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("`", "'")
