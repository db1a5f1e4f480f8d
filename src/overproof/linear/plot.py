"""Plot the tuning with matplotlib: risk or accuracy against imitation and regularization, with the best one marked.

Every function draws into an `Axes` of matplotlib and returns it; without one it makes a figure. To save a figure:
`plot_risk(student.risk_path_).figure.savefig("risk.png")`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from overproof.errors import InputError
from overproof.linear.path import RiskPath
from overproof.linear.softmax import ImitationGrid

_BEST = "tab:red"


def plot_risk(path: RiskPath, axes: Any = None, *, imitations: NDArray[Any] | None = None) -> Any:
    """Estimated risk by regularization and imitation as a heat map, with the best imitation of each regularization.

    Args:
        path: `risk_path_` of a ridge estimator.
        axes: Axes to draw into; by default those of a new figure.
        imitations: [X], increasing, for the vertical axis; by default 141 from -1 to 6.

    Returns:
        The axes, with the line and a star at the pair of lowest risk.

    Raises:
        InputError: matplotlib is not installed.
    """
    axes = _axes(axes)
    rows = np.linspace(-1, 6, 141) if imitations is None else np.asarray(imitations, np.float64)
    used = np.isfinite(path.distilled)
    risks = np.array([path.risk(float(row))[used] for row in rows])
    # Relative to the best, as a logarithm: risks grow without bound away from it.
    shades = np.log10(risks / path.distilled[used].min())
    drawn = axes.pcolormesh(
        path.regularization[used], rows, shades, shading="nearest", cmap="viridis", vmin=0, vmax=0.5
    )
    axes.figure.colorbar(drawn, ax=axes, label="log10(risk / lowest risk)", extend="max")
    axes.plot(path.regularization[used], path.imitation[used], color=_BEST, label="best imitation")
    best = int(np.argmin(path.distilled))
    axes.plot(
        path.regularization[best], path.imitation[best], "*", color=_BEST, markersize=12,
        label=f"lowest risk: imitation {path.imitation[best]:.2f}",
    )  # fmt: skip
    axes.axhline(0, color="white", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", xlabel="regularization", ylabel="imitation", ylim=(rows[0], rows[-1]))
    axes.legend(loc="upper right", fontsize="small")
    return axes


def plot_imitation(path: RiskPath, regularization: float, axes: Any = None) -> Any:
    """Estimated risk against imitation at one regularization of the path, a parabola with its minimum marked.

    Args:
        path: `risk_path_` of a ridge estimator.
        regularization: The nearest one of the path is used.
        axes: Axes to draw into; by default those of a new figure.

    Returns:
        The axes, with the teacher (imitation 0), the pure student (1) and the best imitation as points.

    Raises:
        InputError: matplotlib is not installed.
    """
    axes = _axes(axes)
    index = int(np.argmin(np.abs(np.log(path.regularization / regularization))))
    best = float(path.imitation[index])
    reach = max(1.0, abs(best))
    rows = np.linspace(min(-1.0, best - reach), max(2.0, best + reach), 201)
    axes.plot(rows, [path.risk(float(row))[index] for row in rows], color="tab:blue")
    for imitation, risk, colour, name in (
        (0.0, path.teacher[index], "black", "teacher"),
        (1.0, path.student[index], "tab:green", "student"),
        (best, path.risk(best)[index], _BEST, f"best imitation {best:.2f}"),
    ):
        axes.plot(imitation, risk, "o", color=colour, label=name)
    axes.set(xlabel="imitation", ylabel="estimated risk", title=f"regularization {path.regularization[index]:.3g}")
    axes.legend(fontsize="small")
    return axes


def plot_accuracy(grid: ImitationGrid, axes: Any = None) -> Any:
    """Held-out accuracy against imitation, one line per regularization with its best imitation marked.

    Args:
        grid: `grid_` of a softmax estimator.
        axes: Axes to draw into; by default those of a new figure.

    Returns:
        The axes; lines end at the largest imitation before the predicted classes are reversed.

    Raises:
        InputError: matplotlib is not installed.
    """
    axes = _axes(axes)
    for row, regularization in enumerate(grid.regularization):
        (line,) = axes.plot(
            grid.imitation, grid.accuracy[row], marker=".", label=f"regularization {regularization:.3g}"
        )
        best = int(np.nanargmax(grid.accuracy[row]))
        axes.plot(grid.imitation[best], grid.accuracy[row, best], "*", color=line.get_color(), markersize=12)
    axes.set(xlabel="imitation", ylabel="held-out accuracy")
    axes.legend(fontsize="small")
    return axes


def _axes(axes: Any) -> Any:
    if axes is not None:
        return axes
    try:
        # Not pyplot, which needs a display and keeps references to all figures.
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(
            "Plots need matplotlib; install it with: pip install matplotlib, or pip install overproof[plot]."
        ) from None
    return Figure(layout="constrained").add_subplot()
