"""Charts as SVG: where values are drawn, what is written at the axes, and that words cannot become elements."""

import math
import re
import subprocess
import sys

import pytest

from overproof.report.charts import curves, reliability
from overproof.report.drawing import SOFT, Chart, padded, room, ticks


def panel(**options):
    return Chart(width=120, height=100).panel((0, 10), (0, 5), left=20, top=0, right=120, bottom=50, **options)


def test_equal_curves_are_one_line_with_both_names():
    made = curves({"hard": [[0.1, 0.5]], "soft": [[0.1, 0.5]], "slam": [[0.1, 0.4]]}, "loss")
    assert re.findall(r">([a-z= ]+)</text>", made)[-2:] == ["hard = soft", "slam"]
    assert "hard and soft from 0.1 to 0.5" in made
    # Three names of that length have no room beside each other.
    tall = curves({f"a_long_name_of_row_{n}": [[0.1 * n, 0.2]] for n in range(3)}, "loss")
    heights = [float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', each)[1]) for each in (made, tall)]
    assert heights[1] - heights[0] == 15


def test_values_are_where_the_axes_say():
    made = panel()
    assert (made.across(0), made.across(10), made.across(2.5)) == (20, 120, 45)
    assert (made.up(0), made.up(5), made.up(1)) == (50, 0, 40)
    assert (made.across(-3), made.across(99)) == (20, 120), "what is outside is at the edge"


def test_equal_ratios_are_equal_distances():
    made = Chart().panel((10, 1000), (0, 1), left=0, right=100, logarithmic=True)
    assert [round(made.across(value), 9) for value in (10, 100, 1000)] == [0, 50, 100]


def test_the_first_of_a_reversed_axis_is_above():
    made = Chart().panel((0, 1), (2.5, -0.5), left=0, top=0, bottom=30)
    assert [made.up(value) for value in (0, 1, 2)] == [5, 15, 25]


def test_a_line_is_interrupted_where_there_is_no_number():
    made = panel()
    made.line([(0, 0), (1, 1), (2, math.nan), (3, 1), (4, 2)], SOFT)
    assert re.search(r'd="([^"]*)"', made.parts[0])[1] == "M20 50L30 40M50 40L60 30"


@pytest.mark.parametrize(
    ("low", "high", "written"),
    [
        (0, 100, ["0", "20", "40", "60", "80", "100"]),
        (-0.0031, 0.0042, ["-0.002", "0.000", "0.002", "0.004"]),
        (0.31, 0.34, ["0.31", "0.32", "0.33", "0.34"]),
        (3, 3, ["3"]),
    ],
)
def test_numbers_at_an_axis_are_round(low, high, written):
    assert [words for _, words in ticks(low, high)] == written


def test_epochs_are_whole_numbers():
    assert [words for _, words in ticks(1, 3, most=8, whole=True)] == ["1", "2", "3"]


def test_an_axis_has_room_beside_its_values_and_also_around_a_single_one():
    assert padded([0.0, math.nan, 10.0]) == (-0.5, 10.5)
    low, high = padded([4.0, 4.0])
    assert low < 4 < high


def test_wide_characters_take_more_room():
    assert room(["ab", "漢字"], 10) == 20 > room(["ab", "cd"], 10)


def test_words_cannot_become_elements():
    made = Chart()
    made.panel((0, 1), (0, 1), left=20).y_axis([(0, '<script>"&')], "<b>")
    drawn = made.svg('"><script>')
    assert "<script>" not in drawn
    assert "<b>" not in drawn
    assert "&lt;script&gt;" in drawn


def test_a_curve_of_one_epoch_is_a_dot_and_the_same_bytes_every_time():
    drawn = curves({"hard": [[0.4]], "soft": [[0.5], [0.7]]}, "loss")
    assert drawn.count("<circle") == 2
    assert drawn == curves({"hard": [[0.4]], "soft": [[0.5], [0.7]]}, "loss")


def test_reliability_is_above_the_diagonal_where_the_student_is_underconfident():
    drawn = reliability([(10, 40, 0.5, 30), (18, 100, 0.9, 90)], "auto")
    assert "calibration error 7.1 %, underconfident on average" in drawn
    dots = [float(place) for place in re.findall(r'cy="([\d.]+)"', drawn)]
    # From the bottom at 200 up to 6: accuracy .75 of 1.02, then .9.
    assert dots == pytest.approx([200 - 194 * 0.75 / 1.02, 200 - 194 * 0.9 / 1.02], abs=0.01)


def test_no_chart_imports_a_plotting_library():
    program = "import sys, overproof.report.charts; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
