"""`overproof assess`: is the teacher good enough, before any student is trained?"""

from pathlib import Path
from typing import Annotated

import typer

from overproof.commands.output.terminal import (
    AllowImport,
    AsJson,
    Cache,
    Changes,
    On,
    not_repeated,
    print_json,
    remarks,
    results,
)
from overproof.errors import InputError


def assess(
    file: Annotated[Path, typer.Argument(help="Experiment file in YAML, or the folder of a run.", show_default=False)],
    folder: Annotated[
        Path | None, typer.Option("--out", help="Output folder of the run; required with an experiment file.")
    ] = None,
    written: Annotated[
        Path | None, typer.Option("--html", help="Also write the assessment as an HTML page to this file.")
    ] = None,
    change: Changes = [],  # noqa: B006
    cache: Cache = None,
    allow_import: AllowImport = [],  # noqa: B006
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Assess the teacher before any training, from labels and its answers: is it good enough, and which method fits?

    Example:
        overproof assess experiment.yaml --out runs/first --html teacher.html
    """
    from dataclasses import asdict, replace

    from overproof.commands.output.assess_table import page
    from overproof.models.importing import as_paths, look_in
    from overproof.progress import OnTerminal
    from overproof.report import assessment_page
    from overproof.runs.changes import typed_paths
    from overproof.runs.experiment import load
    from overproof.runs.folder.neighbours import caches_beside
    from overproof.runs.folder.resume import experiment_in, holds_run, same_teacher
    from overproof.runs.pipeline import Run, open_run
    from overproof.scale import engine_on
    from overproof.storage import atomic
    from overproof.storage.one_writer import writing_file

    if not file.is_dir() and folder is None:
        raise InputError("assess: an experiment file needs --out, the folder in which the teacher's answers are kept.")
    if written is not None:
        atomic.check_page(written)
    named = as_paths({*allow_import, *typed_paths(change)})
    with OnTerminal(remarks()) as progress, engine_on(on, progress) as engine:
        if folder is None:
            work = open_run(file, progress=progress, allow_import=named, engine=engine)
        else:
            asked = load(file, change)
            look_in(file.parent)
            earlier = experiment_in(folder) if holds_run(folder) else asked
            if same_teacher(earlier, asked):
                # Methods and training do not matter here; the content of files is compared as ever.
                asked = earlier.model_copy(update={"data": asked.data, "teacher": asked.teacher})
            caches = caches_beside(folder, cache, engine)
            work = Run(experiment=asked, folder=folder, progress=progress, caches=caches, allow_import=named)
        found = work.assess()
    if written is not None:
        with writing_file(written):
            atomic.write_text(written, assessment_page(found, work.experiment.name))
        remarks().print(f"The page is in {written}.", soft_wrap=True)
    if as_json:
        print_json({**asdict(found), "yaml": found.yaml})
        return
    shown = not_repeated(found.findings, progress.noted)
    results().print(page(replace(found, findings=tuple(shown))))
