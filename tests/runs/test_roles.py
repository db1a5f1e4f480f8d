"""Which rows become labelled, pool and test, and what is refused before anything is computed."""

import numpy as np
import pytest

import overproof
from overproof.data import num_distinct
from overproof.data.options import DataOptions
from overproof.errors import InputError
from overproof.runs.experiment import experiment_from
from overproof.runs.roles import read_roles


def table(folder, num, num_labelled, *, classes=("a", "b"), repeats=0):
    """A CSV file with the columns id, x, z and y, of which the last `repeats` rows repeat the first ones."""
    draw = np.random.default_rng(0)
    rows = [f"{x:.6f},{z:.6f}" for x, z in draw.normal(size=(num - repeats, 2))]
    rows += rows[:repeats]
    labels = [classes[draw.integers(len(classes))] if i < num_labelled else "" for i in range(num)]
    labels[num - repeats :] = labels[:repeats]
    path = folder / "all.csv"
    path.write_text(
        "id,x,z,y\n" + "".join(f"{i},{row},{y}\n" for i, (row, y) in enumerate(zip(rows, labels, strict=True)))
    )
    return {"all": {"path": str(path), "label": "y", "id": "id"}}


def roles_of(files, **rows):
    return read_roles(DataOptions.model_validate({"files": files, "rows": rows}))


def test_labels_are_not_thrown_into_the_pool(tmp_path):
    files = table(tmp_path, 4000, 400)
    roles = roles_of(files, labelled=300, pool=3000, test=100)
    for seed in (0, 1):
        drawn = roles.for_seed(seed)
        assert [len(each) for each in (drawn.labelled, drawn.pool, drawn.test)] == [300, 3000, 100]
        assert (drawn.labelled.label >= 0).all()
        assert (drawn.test.label >= 0).all()
        ids = np.concatenate([drawn.labelled.ids, drawn.pool.ids, drawn.test.ids])
        assert len(np.unique(ids)) == 3400
    with pytest.raises(InputError, match="300 distinct rows with a known label left, but 301 are needed"):
        roles_of(files, labelled=301, pool=3000, test=100)


def test_a_draw_with_labels_to_spare_is_what_it_was(tmp_path):
    files = table(tmp_path, 400, 400)
    drawn = roles_of(files, labelled=30, pool=100, test=50).for_seed(0)
    assert (drawn.pool.label >= 0).all()
    # The draw of version 0.1.
    assert drawn.labelled.keys.to_pylist()[:3] == FIRST_DRAWN


FIRST_DRAWN = ["339", "389", "354"]


def test_rows_alike_but_for_the_id_are_drawn_once_and_reported(tmp_path):
    files = table(tmp_path, 400, 400, repeats=2)
    roles = roles_of(files, labelled=50, pool=300, test=50)
    drawn = roles.for_seed(0)
    assert [len(each) for each in (drawn.labelled, drawn.pool, drawn.test)] == [50, 298, 50]
    assert any("2 of 400 rows have the same content as another row" in each for each in roles.remarks)
    assert any("'pool' has 298 rows instead of 300" in each for each in roles.remarks)
    default = roles_of(files, labelled=50, test=50)
    assert len(default.for_seed(0).pool) == 298
    assert any("drawn once." in each for each in default.remarks)
    with pytest.raises(InputError, match="has 398 distinct ones"):
        roles_of(files, labelled=50, pool=301, test=50)


def test_a_pool_of_its_own_with_a_repeated_row_is_drawn(tmp_path):
    files = table(tmp_path, 200, 200)
    pool = tmp_path / "pool.csv"
    pool.write_text("id,x,z,y\np1,5,6,\np2,5,6,\np3,7,8,\n")
    files["pool"] = {**files["all"], "path": str(pool)}
    roles = roles_of(files, labelled=50, test=50, pool=3)
    assert num_distinct(roles.for_seed(0).pool) == len(roles.for_seed(0).pool) == 2
    assert any("pool (pool.csv): 1 of 3 rows" in each for each in roles.remarks)


def experiment(files, **more):
    return experiment_from(
        {
            "data": {"files": files, "rows": {"labelled": 60, "pool": 200, "test": 60}},
            "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 2},
            "student": {"name": "linear"},
            "train": {"epochs": 1},
            "methods": ["hard"],
            "seeds": [0],
            **more,
        }
    )


@pytest.mark.parametrize("name", ["id", "label", "abstained"])
def test_a_class_called_like_a_column_of_predictions_is_refused_at_the_start(tmp_path, name):
    files = table(tmp_path, 400, 400, classes=("a", name))
    with pytest.raises(InputError, match=f"has a class called '{name}'"):
        overproof.run(experiment(files), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match=f"class_names has a class called '{name}'"):
        overproof.distill(
            "linear",
            np.eye(4),
            np.full((4, 2), 0.5),
            np.eye(4),
            [0, 1, 0, 1],
            np.full((4, 2), 0.5),
            class_names=("a", name),
        )


def test_what_is_to_be_known_of_the_files_is_among_the_findings(tmp_path):
    files = table(tmp_path, 400, 400, repeats=1)
    del files["all"]["id"]
    result = overproof.run(experiment(files), tmp_path / "run")
    assert any("the column 'id' numbers the rows" in each for each in result.findings)


def test_one_path_of_answers_needs_no_list():
    files = {"all": {"path": "x.csv", "label": "y"}}
    assert experiment(files, teacher={"answers": "a.csv"}).teacher.answers == ("a.csv",)
    stack = experiment(files, teacher=[{"answers": "a.csv"}, {"answers": ["b.csv", "c.csv"]}])
    assert [each.answers for each in stack.scorers] == [("a.csv",), ("b.csv", "c.csv")]
