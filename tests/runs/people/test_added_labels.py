"""Labels of people in the next run: found by content, added to the labelled examples, refused where they do not fit."""

from dataclasses import replace

import pytest

from overproof.commands.main import main
from overproof.data.options import DataOptions
from overproof.errors import InputError
from overproof.runs.experiment import experiment_from, load
from overproof.runs.inputs.record import record_of
from overproof.runs.people.added_labels import with_added_labels
from overproof.runs.people.to_label import read_labels
from overproof.runs.pipeline import open_run
from overproof.runs.read_roles import read_roles


def sample(run, truth, tmp_path, filled, num):
    path = tmp_path / "sample0.csv"
    main(["next", str(run), "--budget", str(num), "--out", str(path)])
    filled(path, truth)
    return path


def with_labels(run, *paths, **rows):
    data = load(run / "experiment.yaml").data
    return DataOptions(**{**data.model_dump(), "rows": rows, "labels": [str(path) for path in paths]})


def test_rows_of_the_pool_become_labelled_ones_and_are_in_the_pool_no_more(world, tmp_path, filled):
    run, truth = world
    before = read_roles(load(run / "experiment.yaml").data).for_seed(0)
    path = sample(run, truth, tmp_path, filled, 50)
    roles = read_roles(with_labels(run, path))
    after = roles.for_seed(0)
    # Forty of the pool's contents stand twice in it.
    moved = len(after.labelled) - len(before.labelled)
    assert moved >= 50
    assert len(before.pool) - len(after.pool) == moved
    contents = {each.hex() for each in after.labelled.ids.tolist()}
    assert set(read_labels(path)) <= contents
    assert not set(read_labels(path)) & {each.hex() for each in after.pool.ids.tolist()}
    names = [after.labelled.class_names[each] for each in after.labelled.label.tolist()]
    assert names == [truth[each] for each in after.labelled.keys.to_pylist()]
    assert after.labelled.class_names == before.labelled.class_names
    assert any("labels of people for 50 examples" in each for each in roles.remarks)


def test_labels_of_one_file_fill_its_empty_cells(tmp_path, world, filled):
    run, truth = world
    path = sample(run, truth, tmp_path, filled, 20)
    options = load(run / "experiment.yaml").data
    pool = read_roles(options).for_seed(0).pool
    label = pool.label.clone()
    label[3:] = -1
    found, _ = with_added_labels({"all": replace(pool, label=label)}, [str(path)], {"labelled": "all"}, {})
    known = [each.hex() for each in pool.ids.tolist()[:3]]
    filled_in = [row for row in range(3, len(pool)) if found["all"].label[row] >= 0]
    assert {pool.ids[row].tobytes().hex() for row in filled_in} >= set(read_labels(path)) - set(known)
    assert (found["all"].label[filled_in] == pool.label[filled_in]).all()
    assert (found["all"].label >= 0).sum() == len(filled_in) + 3


def test_what_would_be_wrong_or_lost_is_refused(world, tmp_path, filled):
    run, truth = world
    path = sample(run, truth, tmp_path, filled, 10)
    lines = path.read_text().splitlines()

    def changed(name, old, new):
        other = tmp_path / name
        other.write_text("\n".join([lines[0], *(line.replace(old, new) for line in lines[1:])]) + "\n")
        return other

    first = next(iter(read_labels(path).items()))
    wrong = {"01": "1", "1": "green", "green": "01"}[first[1]]
    row = next(line for line in lines if line.startswith(first[0]))
    flipped = tmp_path / "flipped.csv"
    flipped.write_text("\n".join([lines[0], row.replace(f",{first[1]},random", f",{wrong},random")]) + "\n")
    verdict = tmp_path / "verdict.csv"
    main(["disagreements", str(run), "--between", "hard,labelled_only", "--budget", "5", "--out", str(verdict)])
    filled(verdict, truth)
    empty = tmp_path / "empty.csv"
    empty.write_text(f"content,label,purpose\n{first[0]},,random\n")
    unsaid = tmp_path / "unsaid.csv"
    unsaid.write_text(f"content,label\n{first[0]},{first[1]}\n")
    upper = changed("upper.csv", ",green,random", ",GREEN.,random")
    plain, spelled = (read_roles(with_labels(run, each)) for each in (path, upper))
    for role, examples in plain.fixed.items():
        assert (examples.label == spelled.fixed[role].label).all()
    assert any("a class otherwise and" in each and "'GREEN.'" in each for each in spelled.remarks)
    aliased = changed("aliased.csv", ",green,random", ",Verde,random")
    also = read_roles(with_labels(run, aliased), aliases={"verde": "green"})
    assert all((examples.label == also.fixed[role].label).all() for role, examples in plain.fixed.items())
    for paths, rows, words in (
        ([aliased], {}, "'Verde' is no class"),
        ([verdict], {}, "rows that were chosen for 'verdict hard,labelled_only'"),
        ([path, flipped], {}, "another file of 'data.labels' says"),
        ([flipped], {}, r"the label is .*, and 'data.labels' says"),
        ([changed("strange.csv", f",{first[1]},random", ",blue,random")], {}, "'blue' is no class"),
        ([changed("foreign.csv", first[0], "00" * 16)], {}, "in none of the files of examples"),
        ([path], {"labelled": 60}, "would leave some labels of 'data.labels' out; leave it out"),
        ([empty], {}, "holds no label yet"),
        ([unsaid], {}, "a purpose that no column `purpose` says"),
        ([tmp_path / "missing.csv"], {}, "missing.csv"),
    ):
        with pytest.raises(InputError, match=words):
            read_roles(with_labels(run, *paths, **rows))


def test_a_second_run_trains_on_them_and_notices_a_file_that_was_changed(world, tmp_path, filled):
    run, truth = world
    path = sample(run, truth, tmp_path, filled, 30)
    content = load(run / "experiment.yaml").model_dump(mode="json")
    content["data"]["labels"] = str(path)
    experiment = experiment_from({**content, "methods": ["labelled_only"]})
    assert [each.path for each in record_of(experiment).files if each.option == "data.labels"] == [str(path)]
    main(["label", str(run / "experiment.yaml"), "--people", str(path), "--out", str(tmp_path / "second")])
    opened = open_run(tmp_path / "second")
    assert opened.experiment.data == experiment.data
    assert opened.label()[0]["labelled"] >= 90
    path.write_text(path.read_text().replace(",green,", ",01,", 1))
    with pytest.raises(InputError, match=r"sample0\.csv"):
        open_run(tmp_path / "second").label()
