"""The plots mark the choices of the estimators."""

import sys

import numpy as np
import pytest

from overproof.errors import InputError
from overproof.linear import RidgeSelfDistillation, RidgeSelfDistillationCV, SoftmaxSelfDistillation
from overproof.linear.plot import plot_accuracy, plot_imitation, plot_risk


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(120, 20))
    return features, features[:, 0] + rng.normal(size=120)


def test_the_best_pair_is_marked(data, tmp_path):
    student = RidgeSelfDistillationCV().fit(*data)
    axes = plot_risk(student.risk_path_)
    (star,) = [line for line in axes.lines if line.get_marker() == "*"]
    assert star.get_xydata().tolist() == [[student.regularization_, student.imitation_]]
    curve = axes.lines[0].get_xydata()
    np.testing.assert_array_equal(curve[:, 1], student.risk_path_.imitation)
    axes.figure.savefig(tmp_path / "risk.png")
    assert (tmp_path / "risk.png").stat().st_size > 10_000


def test_the_parabola_has_its_lowest_point_where_it_is_marked(data):
    student = RidgeSelfDistillation(0.01).fit(*data)
    axes = plot_imitation(student.risk_path_, 0.01)
    curve, *_, best = axes.lines
    assert best.get_xdata()[0] == student.imitation_
    assert best.get_ydata()[0] <= curve.get_ydata().min() + 1e-12
    assert plot_imitation(student.risk_path_, 0.02, axes) is axes


def test_every_regularization_has_its_line_and_its_star(data):
    features, target = data
    grid = SoftmaxSelfDistillation([0.1, 0.001], imitations=[-1, 1, 2]).fit(features, target > 0).grid_
    axes = plot_accuracy(grid)
    stars = [line for line in axes.lines if line.get_marker() == "*"]
    assert [star.get_ydata()[0] for star in stars] == np.nanmax(grid.accuracy, axis=1).tolist()


def test_without_matplotlib_the_error_names_the_package(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match="pip install matplotlib"):
        plot_risk(RidgeSelfDistillation().fit(*data).risk_path_)
