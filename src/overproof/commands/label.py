"""`overproof label`: the first step of a run; or a language model is asked about the rows of a file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from overproof.commands.output.run_table import show_plan
from overproof.commands.output.terminal import (
    AllowImport,
    AsJson,
    Cache,
    Changes,
    On,
    RunFolder,
    print_json,
    remarks,
    results,
)
from overproof.errors import InputError

if TYPE_CHECKING:
    from overproof.runs.asking.job import Job


def _option(name: str, words: str, **more: Any) -> Any:
    return typer.Option(name, help=words, **more)


def label(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Experiment file in YAML; or, with --endpoint, also a file of rows (CSV, JSON lines, Parquet).",
            show_default=False,
        ),
    ],
    folder: RunFolder,
    people: Annotated[
        list[Path],
        typer.Option(
            help="A random sample of `overproof next` with labels of people, which are added to the labelled "
            "examples. Can be repeated."
        ),
    ] = [],  # noqa: B006
    change: Changes = [],  # noqa: B006
    allow_import: AllowImport = [],  # noqa: B006
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the expected steps, memory, disk and time; with --endpoint tokens and cost, from 20 sampled "
            "prompts that are not sent. Write nothing.",
        ),
    ] = False,
    endpoint: Annotated[
        str | None,
        _option("--endpoint", "Address of an OpenAI-compatible server, as http://localhost:8000/v1.", metavar="URL"),
    ] = None,
    model: Annotated[str | None, _option("--model", "The model's name there.")] = None,
    prompt: Annotated[
        Path | None,
        _option("--prompt", "File with the question; {text} or another column, and {classes}, are filled in."),
    ] = None,
    classes: Annotated[
        str | None,
        _option("--classes", "The classes, as a,b,c or a JSON list; by default the values of the label column."),
    ] = None,
    label: Annotated[str | None, _option("--label", "Column of the labels.", metavar="COLUMN")] = None,
    text: Annotated[str | None, _option("--text", "Column that {text} stands for.", metavar="COLUMN")] = None,
    key: Annotated[str | None, _option("--id", "Column of your ids.", metavar="COLUMN")] = None,
    key_env: Annotated[
        str | None,
        _option("--key-env", "Environment variable with the server's key. No key is sent without.", metavar="NAME"),
    ] = None,
    answer: Annotated[
        str | None, _option("--answer", "'class', or 'set': all classes that may hold.", metavar="class|set")
    ] = None,
    logprobs: Annotated[
        bool, _option("--logprobs", "Use log-probabilities of the first token, if the server returns them.")
    ] = False,
    concurrency: Annotated[int | None, _option("--concurrency", "Requests under way at once; 8 by default.")] = None,
    per_minute: Annotated[
        float | None, _option("--max-requests-per-minute", "Requests begun in a minute, at most.")
    ] = None,
    timeout: Annotated[float | None, _option("--timeout", "Seconds that a request may take; 60 by default.")] = None,
    retries: Annotated[int | None, _option("--retries", "Repetitions of a request that failed; 5 by default.")] = None,
    max_calls: Annotated[int | None, _option("--max-calls", "Requests sent in all, at most.")] = None,
    max_tokens: Annotated[int | None, _option("--max-tokens", "Tokens of prompts and answers in all, at most.")] = None,
    max_cost: Annotated[float | None, _option("--max-cost", "Cost in all, at most, by the prices.")] = None,
    price_in: Annotated[float | None, _option("--price-in", "Price of a million tokens of prompts.")] = None,
    price_out: Annotated[float | None, _option("--price-out", "Price of a million tokens of answers.")] = None,
    licence: Annotated[str | None, _option("--licence", "Licence under which the answers may be used.")] = None,
    ask_again: Annotated[
        bool, _option("--ask-again", "Ask again what was rejected, or whose answer names no class.")
    ] = False,
    send_sample: Annotated[
        bool, _option("--send-sample", "With --dry-run: send the 20 prompts, keep the answers, and measure.")
    ] = False,
    cache: Cache = None,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Run the first step only: compute and store the teacher's answer for every example, once.

    `overproof label experiment.yaml --out runs/first` does that for an experiment.

    With --endpoint and an experiment, the model at that address is its teacher in place of the one that it names.

    With --endpoint and a file of rows, ask a language model for the class of each row. Its raw answers are kept in the
    output folder as they come, so that the same command goes on after a stop and asks nothing twice; answers.jsonl
    there is what `overproof run` reads with --answers. More options: --set teacher.options.NAME=VALUE.

    Example:
        overproof label t.csv --endpoint URL --model m --prompt p.txt --out out
    """
    given = {
        "url": endpoint,
        "model": model,
        "prompt": None if prompt is None else str(prompt),
        "key_env": key_env,
        "answer": answer,
        "logprobs": logprobs or None,
        "concurrency": concurrency,
        "max_requests_per_minute": per_minute,
        "timeout_seconds": timeout,
        "retries": retries,
        "max_calls": max_calls,
        "max_tokens": max_tokens,
        "max_cost": max_cost,
        "price_in": price_in,
        "price_out": price_out,
    }
    options = {name: value for name, value in given.items() if value is not None}
    if endpoint is None and (options or classes or label or text or key or licence or ask_again or send_sample):
        raise InputError(
            "label: --model, --prompt, --classes and the like are about a language model, whose address is missing: "
            "write --endpoint URL."
        )
    if endpoint is None:
        added = [f"data.labels={json.dumps([str(path) for path in people])}"] if people else []
        _label_run(file, folder, [*change, *added], allow_import, dry_run, as_json, cache, on)
        return
    if on is not None:
        raise InputError(
            "--on maps the shards of a teacher that is computed; a model at an address is asked from here."
        )
    if file.suffix in (".yaml", ".yml"):
        of_rows: dict[str, Any] = {"--classes": classes, "--label": label, "--text": text, "--id": key}
        of_rows |= {"--ask-again": ask_again, "--send-sample": send_sample}
        if given_too := [name for name, value in of_rows.items() if value]:
            raise InputError(
                f"{given_too[0]} is about a file of rows, and {file} is taken for an experiment, which says what its "
                f"data are; leave it out, or give the file of rows itself."
            )
        added = [f"data.labels={json.dumps([str(path) for path in people])}"] if people else []
        asking = f"teacher={json.dumps(_teacher_at(file, options, licence))}"
        _label_run(file, folder, [asking, *change, *added], [*allow_import, endpoint], dry_run, as_json, cache)
        return
    if people:
        raise InputError("--people adds labels to a run, and --endpoint asks about a file of rows: leave one out.")
    from overproof.data.source import format_of
    from overproof.runs.asking.rows import Columns

    if format_of(file) is None and not file.exists():
        raise InputError(f"{file} does not exist; a file of rows is needed, such as tickets.csv.")
    columns = Columns(text=text, id=key, label=label, classes=classes or "")
    job = _job(file, folder, options, change, columns, licence)
    _ask(job, dry_run=dry_run, send=send_sample, again=ask_again, as_json=as_json)


def _teacher_at(file: Path, options: dict[str, Any], licence: str | None) -> dict[str, Any]:
    """The teacher of an experiment with a language model at an address in its place.

    Args:
        file: The experiment's.
        options: Those of the model that were typed.
        licence: As typed.
    """
    from overproof.runs.experiment import options_in
    from overproof.teachers.endpoint.options import ENDPOINT

    own = options_in(file).get("teacher")
    before = own if isinstance(own, dict) else {}
    theirs = before.get("options") if before.get("model") == ENDPOINT else {}
    kept = {name: before[name] for name in ("unanswered", "licence") if name in before}
    kept |= {} if licence is None else {"licence": licence}
    return {"model": ENDPOINT, "options": {**(theirs if isinstance(theirs, dict) else {}), **options}, **kept}


def _label_run(
    file: Path,
    folder: Path,
    change: list[str],
    allow_import: list[str],
    dry_run: bool,
    as_json: bool,
    cache: Path | None,
    on: str | None = None,
) -> None:
    from overproof.commands.output.json_output import Earlier, answers_as_json
    from overproof.models.importing import as_paths, look_in
    from overproof.progress import OnTerminal
    from overproof.runs.changes import typed_paths
    from overproof.runs.experiment import load
    from overproof.runs.folder.neighbours import caches_beside
    from overproof.runs.pipeline import Run
    from overproof.scale import engine_on

    experiment, named = load(file, change), as_paths({*allow_import, *typed_paths(change)})
    look_in(file.parent)
    if dry_run:
        show_plan(experiment, folder, as_json, named)
        return
    console, earlier = remarks(), Earlier.of(folder)
    with OnTerminal(console) as progress, engine_on(on, progress) as engine:
        caches = caches_beside(folder, cache, engine)
        work = Run(experiment=experiment, folder=folder, progress=progress, caches=caches, allow_import=named)
        rows = work.label()
    if as_json:
        print_json(answers_as_json(experiment, folder, rows, earlier))
    console.print(f"The teacher's answers are in {folder / 'labels'}.", soft_wrap=True)


def _job(
    file: Path, folder: Path, options: dict[str, Any], change: list[str], columns: Any, licence: str | None
) -> "Job":
    """The questions about the rows of a file."""
    from overproof.runs.asking.job import Job
    from overproof.runs.asking.rows import rows_of
    from overproof.runs.changes import changed
    from overproof.storage import atomic
    from overproof.teachers.endpoint.client import need_client
    from overproof.teachers.endpoint.options import endpoint_options
    from overproof.teachers.endpoint.prompt import read_prompt

    need_client()
    said = changed({"teacher": {"options": options, "licence": licence or ""}}, change)
    others = [f"teacher.{name}" for name in said["teacher"] if name not in ("options", "licence")]
    if unknown := [name for name in said if name != "teacher"] + others:
        raise InputError(
            f"--set {unknown[0]}: with --endpoint, only teacher.options.NAME and teacher.licence can be set."
        )
    made = endpoint_options(said["teacher"]["options"])
    atomic.check_output(folder, folder=True)
    rows = rows_of(str(file), read_prompt(made.prompt), columns, made.prompt)
    console = remarks()
    for sentence in rows.understood:
        console.print(sentence, soft_wrap=True)
    return Job(
        options=made,
        ids=rows.ids,
        prompts=rows.prompts,
        class_names=rows.class_names,
        licence=str(said["teacher"]["licence"]),
        folder=folder,
        kept=rows.kept,
    )


def _ask(job: "Job", *, dry_run: bool, send: bool, again: bool, as_json: bool) -> None:
    from overproof.progress import OnTerminal
    from overproof.runs.asking.job import left_over, sentences
    from overproof.teachers.endpoint.told import ANSWERS

    console = remarks()
    if send and not dry_run:
        raise InputError("--send-sample goes with --dry-run: without it all rows are asked.")
    if job.options.key_env and job.options.address.startswith("http://"):
        console.print(f"The key is sent unencrypted, because {job.options.address} is http.", soft_wrap=True)
    if dry_run:
        with OnTerminal(console) as progress:
            found = job.estimate(progress, send=send)
        if as_json:
            print_json(found.as_json())
            return
        for sentence in found.sentences():
            results().print(sentence, soft_wrap=True)
        return
    with OnTerminal(console) as progress:
        asked, _, summary = job.run(progress, again=again)
    if as_json:
        print_json({"folder": str(job.folder), **summary})
    for sentence in sentences(summary, asked, job.folder):
        console.print(sentence, soft_wrap=True)
    if why := left_over(summary):
        console.print(why, soft_wrap=True)
        raise typer.Exit(1)
    console.print(f"The answers are in {job.folder / ANSWERS}.", soft_wrap=True)
