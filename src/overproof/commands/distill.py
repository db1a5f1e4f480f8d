"""`overproof distill`: the second step of a run."""

from overproof.commands.output.terminal import AllowImport, AsJson, Folder, On, print_json, remarks


def distill(
    folder: Folder,
    allow_import: AllowImport = [],  # noqa: B006
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Run the second step only: train every student of the run that is not trained yet.

    Example:
        overproof distill runs/first
    """
    from overproof.commands.output.json_output import Earlier, students_as_json
    from overproof.progress import OnTerminal
    from overproof.runs.pipeline import open_run
    from overproof.scale import engine_on

    console, earlier = remarks(), Earlier.of(folder)
    with OnTerminal(console) as progress, engine_on(on, progress) as engine:
        open_run(folder, progress=progress, allow_import=allow_import, engine=engine).distill()
    if as_json:
        print_json(students_as_json(folder, earlier))
    console.print(f"The students are in {folder / 'students'}.", soft_wrap=True)
