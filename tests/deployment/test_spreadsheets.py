"""Cells that a spreadsheet would run as a formula: written as they are, or with an apostrophe."""

import csv

import numpy as np
import pyarrow as pa
import pytest

from overproof.commands.main import main
from overproof.data import from_arrays
from overproof.deployment.predictions_file import without_formulas
from overproof.models import build

IDS = ["=cmd|' /C calc'!A0", "-1", "-x", "+5", "@a", "\t=1", "plain", "-2.5e3"]


@pytest.fixture
def student(tmp_path):
    rows = "\n".join(f'"{key}",{number}.5' for number, key in enumerate(IDS))
    (tmp_path / "new.csv").write_text(f"key,f0\n{rows}\n")
    table = from_arrays(np.arange(4.0).reshape(4, 1))
    build("linear", [table], class_names=["=bad", "good"], seed=0).save(tmp_path / "student")
    return tmp_path


def written(folder, *options):
    words = ["predict", folder / "student", folder / "new.csv", "--id", "key", "--out", folder / "out.csv", "--quiet"]
    main([*map(str, words), *options])
    with (folder / "out.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_values_are_unchanged_by_default(student):
    header, *rows = written(student)
    assert header == ["id", "label", "=bad", "good"]
    assert [row[0] for row in rows] == IDS


def test_formulas_get_an_apostrophe_and_numbers_do_not(student):
    header, *rows = written(student, "--spreadsheet-safe")
    assert header == ["id", "label", "'=bad", "good"]
    assert [row[0] for row in rows] == ["'=cmd|' /C calc'!A0", "-1", "'-x", "+5", "'@a", "'\t=1", "plain", "-2.5e3"]
    assert {row[1] for row in rows} <= {"'=bad", "good"}


def test_it_is_for_csv(student, capsys):
    words = ["predict", student / "student", student / "new.csv", "--out", student / "o.parquet", "--spreadsheet-safe"]
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, words)])
    assert stopped.value.code == 2
    assert "--spreadsheet-safe is for CSV files" in capsys.readouterr().err
    assert not (student / "o.parquet").exists()


def test_full_width_signs_count():
    assert without_formulas(pa.array(["＝1", "a=1"])).to_pylist() == ["'＝1", "a=1"]
