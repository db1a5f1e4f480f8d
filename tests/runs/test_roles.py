"""Which rows become labelled, pool and test, and what is refused before anything is computed."""

import numpy as np
import pytest

import overproof
from overproof.data import from_arrays, grouped, num_distinct, split
from overproof.data.options import DataOptions
from overproof.errors import InputError
from overproof.runs.experiment import experiment_from
from overproof.runs.read_roles import read_roles


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


def test_all_labelled_rows_beside_the_test_are_labelled(tmp_path):
    files = table(tmp_path, 500, 200, repeats=3)
    roles = roles_of(files, labelled="all", test=50)
    drawn = [roles.for_seed(seed) for seed in (0, 1)]
    # Three rows with a label are repeated, each drawn once.
    for each in drawn:
        assert [len(part) for part in (each.labelled, each.pool, each.test)] == [150, 297, 50]
        assert (each.labelled.label >= 0).all()
        assert (each.pool.label < 0).all()
    assert {*drawn[0].labelled.keys.to_pylist()} == {*drawn[1].labelled.keys.to_pylist()}
    fewer = roles_of(files, labelled="all", test=50, pool=100).for_seed(0)
    assert [len(part) for part in (fewer.labelled, fewer.pool, fewer.test)] == [150, 100, 50]
    assert (fewer.labelled.label >= 0).all()
    # No rest without a label, no label beside the test, and roles that cannot be all of a file.
    for rows, words in (
        ({"labelled": "all", "test": 200}, "has no row with a known label beside those drawn for 'test'"),
        ({"labelled": "all", "test": "all"}, "Option 'data.rows.test' is 'all'; give a number"),
    ):
        with pytest.raises(ValueError, match=words):
            roles_of(files, **rows)
    with pytest.raises(InputError, match="no pool is left; give a number instead"):
        roles_of(table(tmp_path, 100, 100), labelled="all", test=20)
    # Where it is the default, it need not be left out.
    own = {"labelled": files["all"], "test": files["all"], "pool": files["all"]}
    assert DataOptions.model_validate({"files": own, "rows": dict.fromkeys(own, "all")}).rows == {}


def test_all_labelled_rows_are_those_of_no_group_of_the_test(tmp_path):
    files, _ = grouped_table(tmp_path, known=0.5)
    roles = roles_of(files, labelled="all", test=40)
    drawn = roles.for_seed(0)
    in_test = {*drawn.test.group.to_pylist()}
    known = roles.fixed["train"].label >= 0
    assert len(drawn.labelled) == int(known.sum()) > 50
    assert not in_test & {*drawn.labelled.group.to_pylist(), *drawn.pool.group.to_pylist()}
    assert len(drawn.pool) > 20


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


def grouped_table(folder, num=400, *, shuffled=0, known=1.0):
    """Groups of one to eight rows of mixed labels; a few rows have none, and one content is in two groups."""
    draw = np.random.default_rng(0)
    group = np.repeat(np.arange(num), draw.integers(1, 9, num))[:num]
    lines = []
    for i, (x, g) in enumerate(zip(draw.normal(size=num), group, strict=True)):
        label = "abc"[(g + (draw.random() < 0.2)) % 3] if draw.random() < known else ""
        lines.append(f"{i},{x:.6f},{label},{'' if i % 50 == 7 else f'g{g}'}\n")
    other = lines[-1].split(",")[3]
    lines[-1] = ",".join([str(num - 1), *lines[0].split(",")[1:3], other])
    path = folder / "grouped.csv"
    path.write_text("id,x,y,who\n" + "".join(np.random.default_rng(shuffled).permutation(lines) if shuffled else lines))
    return {"all": {"path": str(path), "label": "y", "id": "id", "group": "who"}}, lines


def owners(examples, lines):
    """The groups of some rows; a row without one has its own; those of the content in two groups are one."""
    both = {lines[0].split(",")[3].strip(), lines[-1].split(",")[3].strip()}
    found = set()
    for key in examples.keys.to_pylist():
        name = lines[int(key)].split(",")[3].strip()
        found.add(f"row {key}" if not name else "both" if name in both else name)
    return found


@pytest.mark.parametrize("known", [1.0, 0.6])
def test_no_group_is_in_two_roles_that_are_drawn_from_one_file(tmp_path, known):
    files, lines = grouped_table(tmp_path, known=known)
    roles = roles_of(files, labelled=60, test=80, validation=40)
    for seed in (0, 1):
        drawn = roles.for_seed(seed)
        parts = [drawn.labelled, drawn.pool, drawn.test, drawn.validation]
        assert [len(parts[i]) for i in (0, 2, 3)] == [60, 80, 40]
        assert all((part.label >= 0).all() for part in (drawn.labelled, drawn.test, drawn.validation))
        of = [owners(part, lines) for part in parts]
        assert sum(map(len, of)) == len(set().union(*of))
        # Every class is in every labelled role, with about its share.
        assert all(np.bincount(part.label, minlength=3).min() > len(part) // 6 for part in (drawn.labelled, drawn.test))
        assert not any("are in groups of labelled" in each for each in roles.remarks_for(seed))
        assert (120 if known == 1 else 60) < len(drawn.pool) < 399 - 180
    assert any("rows are in no role, because rows of their group are in one" in each for each in roles.remarks)
    assert roles.for_seed(0).labelled.keys != roles.for_seed(1).labelled.keys


def test_a_draw_by_groups_does_not_depend_on_the_order_of_the_rows(tmp_path):
    first, again = (
        roles_of(grouped_table(tmp_path, shuffled=shuffled)[0], labelled=60, test=80).for_seed(3) for shuffled in (0, 1)
    )
    for role in ("labelled", "pool", "test"):
        assert getattr(first, role).keys == getattr(again, role).keys


def test_a_large_group_is_drawn_no_more_often_than_a_small_one():
    """Half of the groups have one row, half have nine: of each kind a third is drawn."""
    rows = np.repeat(np.arange(200), np.where(np.arange(200) < 100, 1, 9))
    examples = grouped(from_arrays([f"text {i}" for i in range(1000)], [0] * 1000), rows, "who")
    large = []
    for seed in range(20):
        part = split(examples, {"labelled": 300, "pool": 700}, seed, rest="pool")["labelled"]
        chosen = {int(name.removeprefix("g")) for name in part.group.to_pylist()}
        large.append(np.mean([name >= 100 for name in chosen]))
    assert abs(np.mean(large) - 0.5) < 0.03


def test_where_groups_leave_no_pool_the_error_says_so(tmp_path):
    files, _ = grouped_table(tmp_path)
    with pytest.raises(InputError, match="no rows left for 'pool': rows of one group are in one role"):
        roles_of(files, labelled=314, test=80).for_seed(0)
    with pytest.raises(InputError, match="since rows of one group are in one role; ask for fewer"):
        roles_of(files, labelled=60, test=80, pool=259)


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


def test_findings_call_a_teacher_by_its_files_of_answers():
    """Both would be called `auto` by their models, so that a finding could name the wrong one of a stack."""
    files = {"all": {"path": "x.csv", "label": "y"}}
    asked = {"model": "endpoint", "options": {"url": "http://127.0.0.1:1/v1", "model": "small", "prompt": "p.txt"}}
    stack = experiment(files, teacher=[{"answers": ["data/a.csv", "b.csv"]}, {"model": "auto"}, asked])
    assert [each.called for each in stack.scorers] == ["a.csv, b.csv", "auto", "small"]
