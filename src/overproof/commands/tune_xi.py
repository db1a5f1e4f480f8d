"""`overproof tune-xi`: the imitation parameter of a self-distilled linear model."""

from pathlib import Path
from typing import Annotated

import typer

from overproof.commands.output.terminal import AsJson, MaxUnpackedGb, print_json, results


def tune_xi(
    file: Annotated[Path, typer.Argument(metavar="FEATURES", help="Frozen features: .npz or Parquet.")],
    label: Annotated[str | None, typer.Option(help="Column or array of classes; fits a softmax classifier.")] = None,
    target: Annotated[
        list[str],
        typer.Option(help="Column or array of numbers to predict; fits a ridge regression. Can be repeated."),
    ] = [],  # noqa: B006
    features: Annotated[
        list[str], typer.Option(help="Column or array of features; by default all that fit. Can be repeated.")
    ] = [],  # noqa: B006
    truth: Annotated[
        str | None, typer.Option(help="Trusted classes, used only to measure: never to fit or to choose.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="Column or array of what several rows may come from, such as a patient or an author; they are in one "
            "fold, and the interval counts groups."
        ),
    ] = None,
    folds: Annotated[int, typer.Option(help="Number of cross-validation folds, at least 2.")] = 5,
    repeats: Annotated[int, typer.Option(help="How many times the rows are divided into folds, at least 1.")] = 3,
    seed: Annotated[int, typer.Option(help="Random seed of the folds.")] = 0,
    max_unpacked_gb: MaxUnpackedGb = None,
    as_json: AsJson = False,
) -> None:
    """Tune the self-distillation of a linear model: the best imitation xi, and the gain over no self-distillation.

    Example:
        overproof tune-xi features.npz --label y --folds 5
    """
    from overproof.linear.tuning import tune
    from overproof.linear.tuning_result import report

    found = tune(
        file,
        label=label,
        target=target,
        features=features,
        truth=truth,
        group=group,
        folds=folds,
        repeats=repeats,
        seed=seed,
        max_unpacked_gb=max_unpacked_gb,
    )
    if as_json:
        print_json(found.as_json())
    else:
        results().print(report(found))
