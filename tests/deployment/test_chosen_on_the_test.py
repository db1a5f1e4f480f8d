"""A student that `export` chooses by its accuracy on the test remembers the test, for `predict --risk`."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from overproof.api import run
from overproof.commands.main import main
from overproof.deployment import export
from overproof.models import load_student
from overproof.runs.experiment import experiment_from
from overproof.runs.pipeline import open_run
from overproof.synthetic import blobs


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chosen")
    world = blobs(num_examples=300, num_classes=2, seed=0)
    columns = {f"x{i}": pa.array(column) for i, column in enumerate(world.inputs.T.numpy())}
    pq.write_table(pa.table({**columns, "y": world.label.numpy()}), folder / "blobs.parquet")
    content = {
        "data": {
            "files": {"all": {"path": str(folder / "blobs.parquet"), "label": "y"}},
            "rows": {"labelled": 40, "pool": 100, "test": 80},
        },
        "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 2},
        "student": {"name": "linear"},
        "train": {"epochs": 1},
        "methods": ["hard"],
        "seeds": [0],
    }
    run(experiment_from(content), folder / "run")
    return folder / "run"


def test_the_test_is_seen_where_the_row_was_chosen_on_it_and_not_where_it_was_named(finished, tmp_path):
    test = open_run(finished).seed_roles(0).test
    chosen = export(finished, tmp_path / "chosen")
    assert "on the test" in chosen.why
    named = export(finished, tmp_path / "named", method="hard")
    assert named.why == ""
    assert load_student(tmp_path / "chosen").has_seen(test).all()
    assert not load_student(tmp_path / "named").has_seen(test).any()


def test_a_run_is_not_calibrated_without_naming_its_student(finished, tmp_path, capsys):
    data = str(finished.parent / "blobs.parquet")
    command = ["predict", str(finished), data, "--out", str(tmp_path / "a.csv"), "--risk", "0.5", "--calibrate", data]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--label", "y"])
    assert ended.value.code == 2
    assert "export it first" in capsys.readouterr().err.replace("\n", " ")
