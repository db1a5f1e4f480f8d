"""`overproof evaluate`: the last step of a run."""

from overproof.commands.output.run_table import show_result
from overproof.commands.output.terminal import AllowImport, AsJson, Folder


def evaluate(folder: Folder, allow_import: AllowImport = [], as_json: AsJson = False) -> None:  # noqa: B006
    """Run the last step only: evaluate the students on the test set and write result.json.

    Example:
        overproof evaluate runs/first
    """
    from overproof.runs.pipeline import open_run

    show_result(open_run(folder, allow_import=allow_import).evaluate(), as_json)
