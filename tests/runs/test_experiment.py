"""Experiments as data: what is refused, in which words, and that nothing is lost on the way to YAML and back."""

import pytest
import yaml

from overproof.errors import InputError
from overproof.methods.composition import Objective
from overproof.methods.losses import StudentLabelMixing
from overproof.methods.noise_models import Isotonic
from overproof.methods.selectors import Confident
from overproof.methods.targets import Soft
from overproof.options import listed_seeds
from overproof.runs.experiment import MethodOptions, dump, experiment_from, load


def content(**changes):
    return {
        "data": {
            "files": {"all": {"path": "some.csv", "input": "text", "label": "class"}},
            "rows": {"labelled": 30, "pool": 100, "test": 50},
        },
        **changes,
    }


def test_yaml_and_back_is_the_same_experiment(tmp_path):
    experiment = experiment_from(
        content(methods=["slam", {"method": "slam", "name": "b", "options": {"noise.prior": 2}}])
    )
    path = tmp_path / "experiment.yaml"
    path.write_text(dump(experiment))
    assert load(path) == experiment


def test_the_rows_no_verdict_can_do_without_are_added():
    assert [each.row for each in experiment_from(content(methods=["slam"])).rows()] == [
        "labelled_only",
        "hard",
        "soft",
        "slam",
    ]


def test_changes_reach_every_level():
    experiment = experiment_from(
        content(), ["train.epochs=7", "data.rows.pool=11", "seeds=[4, 5]", "data.files.all.label=y"]
    )
    assert (experiment.train.epochs, experiment.data.rows["pool"], experiment.seeds) == (7, 11, (4, 5))
    assert experiment.data.files["all"].label == "y"


def test_a_method_is_built_with_its_options():
    options = {"noise.lower_bound": 0.6, "pool.loss.normalized": True}
    built = MethodOptions(method="slam", options=options).build()
    assert built.noise == Isotonic(lower_bound=0.6)
    assert built.pool.loss == StudentLabelMixing(normalized=True)


@pytest.mark.parametrize(
    "options",
    [
        {"select": {"name": "confident", "budget": 20}},
        {"select": "confident", "select.budget": 20},
    ],
)
def test_a_part_is_chosen_by_its_name(options):
    experiment = experiment_from(content(methods=[{"method": "slam", "options": options}]))
    assert experiment.rows()[-1].build().select == Confident(budget=20)
    assert experiment_from(yaml.safe_load(dump(experiment))) == experiment


def test_a_part_without_a_name_is_the_one_there_is():
    options = {"noise": {"prior": 2.0}, "pool": {"loss": {"normalized": True}, "target": "soft"}}
    built = MethodOptions(method="slam", options=options).build()
    assert (built.noise, built.pool) == (
        Isotonic(prior=2.0),
        Objective(target=Soft(), loss=StudentLabelMixing(normalized=True)),
    )


BAD = {
    "an unknown option": (content(sedes=[1]), [], "no option 'sedes'; did you mean 'seeds'"),
    "an unknown group option": (content(), ["train.epoch=3"], "no option 'train.epoch'; did you mean 'epochs'"),
    "an unknown source option": (content(), ["data.files.all.lable=y"], "did you mean 'label'"),
    "a wrong type": (content(), ["train.epochs=many"], "'train.epochs' is 'many'"),
    "a number out of range": (content(), ["train.ema=1.5"], "'train.ema' is 1.5"),
    "no epochs": (content(), ["train.epochs=0"], "'train.epochs' is 0"),
    "an unknown method": (content(methods=["slamm"]), [], "no method 'slamm'; did you mean 'slam'"),
    "an unknown method option": (
        content(methods=[{"method": "slam", "options": {"noise.lowerbound": 0.6}}]),
        [],
        "did you mean 'lower_bound'",
    ),
    "a method option of a wrong kind": (
        content(methods=[{"method": "slam", "options": {"pool.loss.normalized": "perhaps"}}]),
        [],
        "'pool.loss.normalized' is 'perhaps'",
    ),
    "a group set like a value": (
        content(methods=[{"method": "slam", "options": {"noise": 1}}]),
        [],
        "group of options",
    ),
    "an unknown selector": (
        content(methods=[{"method": "slam", "options": {"select": "confidnt"}}]),
        [],
        "no selector 'confidnt'; did you mean 'confident'",
    ),
    "an unknown selector option": (
        content(methods=[{"method": "slam", "options": {"select": {"name": "confident", "buget": 3}}}]),
        [],
        "'select.buget': Confident has no 'buget'; did you mean 'budget'",
    ),
    "a budget that is none": (
        content(methods=[{"method": "slam", "options": {"select": {"name": "confident", "budget": "many"}}}]),
        [],
        "'select.budget' is 'many'",
    ),
    "a budget out of range": (
        content(methods=[{"method": "slam", "options": {"select": {"name": "confident", "budget": -1}}}]),
        [],
        "Option 'select.budget' is -1; it must be a whole number of at least 1 or a number in (0, 1).",
    ),
    "a name for a group of parts": (
        content(methods=[{"method": "slam", "options": {"pool": "soft"}}]),
        [],
        "'pool' is a group of parts",
    ),
    "one row twice": (content(methods=["slam", "slam"]), [], "holds slam twice, with the same options; leave one"),
    "two rows of a name": (
        content(methods=["slam", {"method": "slam", "rounds": 3}, {"method": "hard", "name": "slam_2"}]),
        [],
        "holds slam twice, and every row needs a name of its own; write one of them as "
        "`{method: slam, name: slam_3, rounds: {most: 3}}`.",
    ),
    "one seed twice": (content(seeds=[1, 1, 2]), [], "holds 1 twice; write each once: `seeds: [1, 2]`."),
    "no seeds": (content(seeds=[]), [], "'seeds'"),
    "no data": ({}, [], "'data' is missing"),
    "no file for a role": (
        {"data": {"files": {"pool": {"path": "a.csv"}, "test": {"path": "b.csv"}}}},
        [],
        "no 'labelled' and no 'all'",
    ),
    "no number of labelled examples": (
        content(data={"files": {"all": {"path": "a.csv"}}}),
        [],
        "the number of 'labelled'",
    ),
    "an unknown role": (content(), ["data.rows.tset=3"], "data.rows.tset"),
    "a kind that does not exist": (content(), ["data.files.all.kind=sound"], "kind"),
    "answers without a file": (content(), ["teacher.model=answers"], "teacher.answers"),
    "answers and a model": (content(teacher={"model": "mlp", "answers": ["a.csv"]}), [], "not 'mlp'"),
    "in-sample answers without validation": (content(), ["teacher.trained_on_labelled=true"], "validation"),
    "one fold": (content(methods=["slam"]), ["teacher.folds=1"], "teacher was trained on the labelled examples"),
    "a change without a value": (content(), ["train.epochs"], "must look like option=value"),
    "a change below a value": (content(), ["seeds.first=1", "seeds.first.x=2"], "not a group"),
    "a reserved row name": (content(methods=[{"method": "slam", "name": "oracle"}]), [], "taken"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_experiments_get_one_sentence(case):
    given, changes, words = BAD[case]
    with pytest.raises(InputError) as error:
        experiment_from(given, changes)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "is not valid YAML"),
        ("- 1\n- 2\n", "must hold options by name"),
        ("!!python/object/apply:os.system ['true']", "is not valid YAML"),
        ("", "must hold options by name"),
    ],
)
def test_files_that_hold_no_experiment_are_refused(tmp_path, text, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        load(path)
    with pytest.raises(InputError, match="no experiment file"):
        load(tmp_path / "missing.yaml")


def test_a_name_stands_for_the_student_of_that_name():
    assert experiment_from(content(student="ngram")) == experiment_from(content(student={"name": "ngram"}))
    with pytest.raises(InputError, match="Option 'student' is 3; it must be"):
        experiment_from(content(student=3))


@pytest.mark.parametrize(
    ("teacher", "models"),
    [
        ("minilm", ["minilm"]),
        (["minilm"], ["minilm"]),
        ([{"answers": "llm.csv"}, "auto", {"model": "ngram", "folds": 5}], ["auto", "auto", "ngram"]),
    ],
)
def test_a_name_among_teachers_stands_for_its_model(teacher, models):
    experiment = experiment_from(content(teacher=teacher))
    assert [each.model for each in experiment.scorers] == models


def test_one_seed_is_the_default_where_every_fold_trains_all_students_again():
    folds = ["data.rows={labelled: 30, pool: 100}"]
    assert experiment_from(content()).seeds == (0, 1, 2)
    assert experiment_from(content(), folds).seeds == (0,)
    assert experiment_from(content(), [*folds, "seeds=[0, 1, 2]"]).seeds == (0, 1, 2)
    assert experiment_from(yaml.safe_load(dump(experiment_from(content(), folds)))).seeds == (0,)
    assert experiment_from(content(), ["data.rows.test=0"]).seeds == (0, 1, 2)


def test_the_aliases_of_all_teachers_but_those_that_differ():
    first = {"answers": "a.csv", "aliases": {"bill": "billing", "1": "login"}}
    second = {"answers": "b.csv", "aliases": {"1": "billing", "2": "login"}}
    assert experiment_from(content(teacher=[first, second])).aliases == {"bill": "billing", "2": "login"}


def test_one_number_is_no_list_of_seeds():
    with pytest.raises(InputError, match=r"'seeds' is 5; .* `seeds: \[5\]` .* \[0, 1, 2, 3, 4\]` for 5 of them"):
        listed_seeds(5)


def test_the_default_table_has_auto_where_it_can_choose_and_only_what_can_be_trained():
    def names(*changes):
        given = {name: value for name, value in content().items() if name != "methods"}
        return [each.row for each in experiment_from(given, changes).methods]

    assert names() == ["labelled_only", "hard", "soft", "auto"]
    assert names("teacher.folds=1") == ["labelled_only", "hard", "soft"]
    assert "auto" not in names("data.rows.pool=0")
    with pytest.raises(InputError, match="which chooses on labelled examples"):
        experiment_from({**content(), "methods": ["auto"]}, ["teacher.folds=1"])
