"""`overproof tune-xi`: the result for data where it is known, and invalid files."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from overproof.commands.main import main
from overproof.data.feature_file import read_features
from overproof.functional.repeats import Repeats
from overproof.linear import RidgeSelfDistillationCV
from overproof.linear.splits import content_folds, content_held_out
from overproof.linear.tuning import gain_interval, tune, tune_classification, tune_regression


def regression(n=400, seed=0):
    """The signal is on one large direction, so that tuned self-distillation can beat tuned ridge."""
    rng = np.random.default_rng(seed)
    scale = np.r_[3.0, np.full(60, 0.7)]
    features = rng.normal(size=(n, 61)) * scale
    return features, (features[:, :1] + 3 * rng.normal(size=(n, 1)))


def classification(n=300, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=n)
    features = np.eye(3, 8)[truth] * 2 + rng.normal(size=(n, 8))
    return features, np.where(rng.random(n) < 0.4, rng.integers(3, size=n), truth), truth


def test_regression_is_the_mean_over_held_out_folds():
    features, target = regression()
    tuned = tune_regression(features, target, folds=3, repeats=1)
    fold = content_folds(features, 3, 0)
    gains = np.empty(len(target))
    for each in range(3):
        held = fold == each
        both = RidgeSelfDistillationCV().fit(features[~held], target[~held, 0])
        teacher = RidgeSelfDistillationCV([both.best_teacher_], imitation=0.0).fit(features[~held], target[~held, 0])
        errors = [(model.predict(features[held]) - target[held, 0]) ** 2 for model in (teacher, both)]
        gains[held] = (errors[0] - errors[1]) / target.var()
    assert tuned.gain == pytest.approx(gains.mean(), rel=1e-8)
    by_fold = np.array([gains[fold == each].mean() for each in range(3)])
    half = max(1.959964 * gains.std(ddof=1) / 20, 4.302653 * (1 / 3 + 1 / 2) ** 0.5 * by_fold.std(ddof=1))
    assert tuned.gain_high - tuned.gain == pytest.approx(half, rel=1e-5)
    assert (tuned.task, tuned.metric, tuned.folds, len(tuned.fold_imitations)) == ("regression", "r2", 3, 3)
    assert tuned.student == pytest.approx(tuned.teacher + tuned.gain)


def test_a_possible_gain_is_found_and_an_impossible_one_is_not():
    won = tune_regression(*regression(3000, seed=1))
    assert won.verdict == "BEATS"
    assert won.gain_low > 0
    # Isotropic features and signal: tuned ridge is the best there is.
    rng = np.random.default_rng(1)
    features = rng.normal(size=(1500, 50))
    target = features @ rng.normal(size=(50, 1)) / 7 + rng.normal(size=(1500, 1))
    assert tune_regression(features, target).verdict != "BEATS"


def test_classification_is_measured_on_trusted_labels_where_there_are_any():
    features, label, truth = classification()
    given, trusted = (tune_classification(features, label, truth=each, folds=2) for each in (None, truth))
    assert given.fold_imitations == trusted.fold_imitations
    # 40 % redrawn: a right answer is the given label 73 % of the time.
    assert given.teacher < trusted.teacher - 0.1
    assert trusted.measured_on == given.measured_on == "the given labels"
    assert given.num_answers == 3


def test_a_student_that_is_the_teacher_is_not_compared_with_itself():
    """The student chosen on all examples is the teacher, those of some folds are not: it was called BEATS."""
    for seed in range(30):
        features, label, _ = classification(80, seed)
        tuned = tune_classification(features, label, folds=3, repeats=1, seed=seed)
        assert tuned.same == (tuned.imitation == 0)
        if tuned.same and any(tuned.fold_imitations):
            break
    assert (tuned.gain, tuned.gain_low, tuned.gain_high) == (0, 0, 0)
    assert tuned.student == tuned.teacher
    assert tuned.verdict == "DOES NOT BEAT"


def test_the_interval_holds_the_draw_of_the_folds():
    one, three = (tune_regression(*regression(120), repeats=repeats) for repeats in (1, 3))
    assert (one.repeats, three.repeats, len(three.fold_imitations)) == (1, 3, 15)
    assert one.fold_imitations == three.fold_imitations[:5]
    assert one.gain != three.gain
    # Other folds of the same examples move the gain by less than half the interval.
    others = [tune_regression(*regression(120), seed=seed).gain for seed in range(1, 5)]
    assert all(three.gain_low < each < three.gain_high for each in others)


def test_without_a_gain_the_interval_lies_above_zero_as_rarely_as_it_says():
    """Folds share training examples: a part 1 / folds of the variance of a fold's gain is common to all folds."""
    rng, folds, repeats, above = np.random.default_rng(0), 4, 2, 0
    for _ in range(2000):
        fold_gains = np.sqrt(1 / folds) * rng.normal() + np.sqrt(1 - 1 / folds) * rng.normal(size=folds * repeats)
        gains = np.repeat(fold_gains.reshape(repeats, folds).mean(axis=0), 15)
        above += gain_interval(gains, fold_gains, folds)[0] > 0
    # A level of 95 % allows 2.5 % on this side: 50 of 2,000, give or take 7. Folds as if independent give about 300.
    assert 25 <= above <= 75


def test_one_positive_of_two_classes():
    rng = np.random.default_rng(0)
    features, label = rng.normal(size=(30, 3)), np.zeros(30, int)
    label[4] = 1
    tuned = tune_classification(features, label, folds=5, repeats=2)
    assert tuned.verdict != "BEATS"
    assert len(tuned.fold_imitations) == 10
    # Folds are stratified: with two positives no fold lacks one to learn from.
    label[7] = 1
    for seed in range(20):
        fold = content_folds(features, 5, seed, label)
        assert fold[4] != fold[7]
        assert np.bincount(fold).tolist() == [6] * 5


def by_group(num=40, rows=6, seed=0, features=30):
    """Groups whose rows are near copies; the label is the group's own and has nothing to do with the features."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(num), rows)
    inputs = rng.normal(size=(num, features))[group] + 0.01 * rng.normal(size=(num * rows, features))
    return inputs, rng.integers(2, size=num)[group], group


def test_groups_are_never_fitted_and_judged():
    features, label, group = by_group(30, 5, features=25)
    apart = tune_classification(features, label, folds=4, repeats=1)
    together = tune_classification(features, label, group=np.array([f"p{each}" for each in group]), folds=4, repeats=1)
    assert apart.teacher > 0.95
    assert 0.25 < together.teacher < 0.75
    assert (apart.num_groups, together.num_groups) == (150, 30)
    target = label[:, None] + 0.0
    apart = tune_regression(features, target, folds=4, repeats=1)
    together = tune_regression(features, target, group=group, folds=4, repeats=1)
    assert apart.teacher > 0.5
    # Chosen by residuals without refits, which leave out single rows, it was -3.
    assert -0.3 < together.teacher < 0.1


def test_rows_of_one_group_or_content_are_in_one_fold_and_held_out_together():
    features, label, group = by_group(12, 4)
    features[1] = features[4]  # of the next group, so that both are one
    joined = np.where(group == 1, 0, group)
    for seed in range(20):
        fold = content_folds(features, 3, seed, label, group)
        held = content_held_out(features, label, np.ones(48), 0.4, seed, group)
        for part in (fold, held):
            assert all(len(set(part[joined == each])) == 1 for each in set(joined))
        # 11 groups in 3 folds; both classes are fitted.
        assert sorted(len(set(joined[fold == each])) for each in range(3)) == [3, 4, 4]
        assert set(label[~held]) == {0, 1}
        shuffled = np.random.default_rng(seed).permutation(48)
        again = content_held_out(features[shuffled], label[shuffled], np.ones(48), 0.4, seed, group[shuffled])
        assert (again == held[shuffled]).all()


def test_repeats_add_nothing_to_what_is_measured():
    """Each content counts once: of copies of the whole file nothing is known that the file does not tell."""
    features, label, _ = classification(60)
    copies = [np.concatenate([each, each]) for each in (features, label)]
    one, two = (tune_classification(*each, folds=3, repeats=1) for each in ((features, label), copies))
    assert (one.num_groups, two.num_groups, two.num_examples) == (60, 60, 120)
    assert one.teacher == pytest.approx(two.teacher, abs=1e-9)
    gains, folds = np.random.default_rng(0).normal(size=50) + np.arange(50) // 25, np.full(3, 0.1)
    alone = gain_interval(gains, folds, 3)
    half = 1.959964 * gains.std(ddof=1) / 50**0.5
    assert alone == pytest.approx((gains.mean() - half, gains.mean() + half), abs=1e-6)
    assert gain_interval(np.tile(gains, 4), folds, 3, repeats=Repeats.of(np.tile(np.arange(50), 4))) == alone
    wide = gain_interval(gains, folds, 3, repeats=Repeats.of(np.arange(50), np.arange(50) // 25))
    assert wide[1] - wide[0] > 2 * (alone[1] - alone[0])


def test_the_group_column_is_read_from_both_formats_and_is_no_feature(tmp_path, capsys):
    features, label, group = by_group(20, 3, features=4)
    columns = {f"x{i}": column for i, column in enumerate(features.T)}
    pa.parquet.write_table(pa.table({**columns, "label": label, "who": group}), tmp_path / "f.parquet")
    np.savez(tmp_path / "f.npz", x=features, label=label, who=group.astype(str))
    for name in ("f.parquet", "f.npz"):
        words = ["--label", "label", "--group", "who", "--folds", "2", "--repeats", "1"]
        main(["tune-xi", str(tmp_path / name), *words, "--json"])
        found = json.loads(capsys.readouterr().out)
        assert (found["num_features"], found["num_groups"]) == (4, 20)
        assert found["teacher"] == tune_classification(features, label, group=group, folds=2, repeats=1).teacher
        main(["tune-xi", str(tmp_path / name), *words])
        assert "60 examples in 20 groups, 4 features" in capsys.readouterr().out.replace("\n", " ")
    # Without one, a row is a group of its own.
    gaps = pa.array([None if each < 10 else int(each) for each in group])
    pa.parquet.write_table(pa.table({"x": features[:, 0], "label": label, "who": gaps}), tmp_path / "gaps.parquet")
    read = read_features(str(tmp_path / "gaps.parquet"), label=["label"], group="who")
    assert (read.features.shape, len(set(read.group))) == ((60, 1), 30 + 10)


@pytest.fixture
def files(tmp_path):
    features, label, truth = classification(90)
    np.savez(tmp_path / "f.npz", x=features, label=label, truth=truth, y=features[:, 0])
    names = np.array(["ape", "bee", "cow"])
    columns = {f"x{i}": column for i, column in enumerate(features.T)}
    pa.parquet.write_table(pa.table({**columns, "label": names[label], "y": features[:, 0]}), tmp_path / "f.parquet")
    listed = pa.FixedSizeListArray.from_arrays(pa.array(features.astype(np.float32).ravel()), 8)
    pa.parquet.write_table(pa.table({"x": listed, "label": names[label]}), tmp_path / "listed.parquet")
    return tmp_path


def test_the_same_arrays_are_read_from_every_kind_of_file(files):
    archive = read_features(str(files / "f.npz"), label=["label"], features=["x"])
    columns = read_features(str(files / "f.parquet"), label=["label"], features=[f"x{i}" for i in range(8)])
    listed = read_features(str(files / "listed.parquet"), label=["label"])
    np.testing.assert_array_equal(archive.features, columns.features)
    np.testing.assert_array_equal(archive.features.astype(np.float32), listed.features)
    assert columns.answers["label"].tolist() == listed.answers["label"].tolist()
    assert read_features(str(files / "f.parquet"), label=["label"], target=["y"]).features.shape == (90, 8)
    assert read_features(str(files / "f.npz"), target=["y"]).answers["y"].shape == (90, 1)


def test_the_command_line_gives_the_result_of_python(files, capsys):
    main(["tune-xi", str(files / "f.npz"), "--target", "y", "--features", "x", "--folds", "2", "--json"])
    output = json.loads(capsys.readouterr().out)
    found = tune(files / "f.npz", label=None, target=["y"], features=["x"], folds=2)
    assert output == json.loads(json.dumps(found.as_json()))
    main(["tune-xi", str(files / "listed.parquet"), "--label", "label", "--folds", "2"])
    shown = capsys.readouterr().out
    assert "accuracy %" in shown
    assert "90 examples, 8 features, 3 classes" in " ".join(shown.split())


def test_the_same_command_prints_the_same_twice(files, capsys):
    words = ["tune-xi", str(files / "f.parquet"), "--target", "y", "--features", "x1", "--folds", "2", "--json"]
    main(words)
    first = capsys.readouterr().out
    main(words)
    assert capsys.readouterr().out == first


@pytest.mark.parametrize(
    ("arrays", "words", "message"),
    [
        ({}, ["--label", "lable"], "no array 'lable' (nearest: 'label'); it has"),
        ({}, [], "needs either --label, for classes, or --target"),
        ({}, ["--label", "label", "--target", "y"], "needs either --label"),
        ({}, ["--target", "y", "--truth", "label"], "--truth needs --label"),
        ({}, ["--label", "label", "--features", "label"], "is named twice"),
        ({}, ["--target", "y", "--folds", "1"], "--folds is 1; it must be at least 2"),
        ({}, ["--target", "y", "--repeats", "0"], "--repeats is 0; it must be at least 1"),
        ({"label": np.zeros(20, int)}, ["--label", "label"], "The label is '0' in every row; at least 2 classes"),
        (
            {"label": np.arange(20)},
            ["--label", "label"],
            "20 different values in 20 rows; classes need two rows each on average",
        ),
        ({"label": np.arange(20) / 3}, ["--label", "label"], "0.333333 in the label 'label', row 1 (counting from 0)"),
        ({"label": np.arange(19)}, ["--label", "label"], "20 rows of features and 19 in 'label'"),
        ({"y": np.full(20, 2.5)}, ["--target", "y"], "The target is 2.5 in every row; it must vary"),
        (
            {"y": np.r_[1.0, np.nan, np.ones(18)]},
            ["--target", "y"],
            "missing or infinite in 'y', row 1 (counting from 0)",
        ),
        ({"x": np.r_[np.ones((19, 2)), [[1, np.inf]]]}, ["--target", "y"], "missing or infinite in 'x', row 19"),
        ({"x": np.ones((20, 2))}, ["--target", "y"], "All rows of features are the same"),
        ({"x": np.ones((20, 2))}, ["--label", "label"], "No feature varies"),
        ({}, ["--target", "y", "--group", "y"], "features, labels, targets and group must be different"),
        ({}, ["--target", "y", "--group", "who"], "no array 'who'"),
        ({"who": np.arange(20) / 3}, ["--target", "y", "--group", "who"], "0.333333 in the group 'who', row 1"),
        ({"who": np.arange(19)}, ["--target", "y", "--group", "who"], "20 rows of features and 19 in 'who'"),
        ({"who": np.ones((20, 1))}, ["--target", "y", "--group", "who"], "a group is a string or a whole number"),
        ({"who": np.ones(20)}, ["--label", "label", "--group", "who"], "All rows are of one group; at least 2"),
        ({"who": np.arange(20) // 10}, ["--target", "y", "--group", "who"], "have 2 groups"),
        ({"z": np.ones((20, 2))}, ["--target", "y"], "has 2 matrices of numbers besides labels and targets"),
        ({"x": np.array([["a", "b"]] * 20)}, ["--target", "y", "--features", "x"], "strings or nulls in 'x'"),
    ],
)
def test_invalid_input_is_one_sentence_and_exit_code_2(arrays, words, message, tmp_path, capsys):
    rng = np.random.default_rng(0)
    whole = {"x": rng.normal(size=(20, 2)), "label": np.arange(20) % 2, "y": np.arange(20.0)} | arrays
    np.savez(tmp_path / "f.npz", **whole)
    with pytest.raises(SystemExit) as stopped:
        main(["tune-xi", str(tmp_path / "f.npz"), *words])
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.npz", None, "no such file"),
        ("broken.npz", b"PK no zip", "not a readable .npz archive"),
        ("f.csv", b"a,b\n", "has the extension '.csv'; .npz and .parquet are allowed"),
    ],
)
def test_files_that_cannot_be_read_are_named(name, content, message, tmp_path, capsys):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SystemExit) as stopped:
        main(["tune-xi", str(tmp_path / name), "--label", "label"])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_gaps_in_parquet_are_named(tmp_path, capsys):
    table = pa.table({"a": [1.0, None, 3.0], "label": ["x", None, "y"], "n": [1, 2, None]})
    pa.parquet.write_table(table, tmp_path / "f.parquet")
    for words, message in (
        (["--label", "label", "--features", "a"], "missing or infinite in 'a', row 1"),
        (["--label", "label", "--features", "n"], "strings or nulls in 'n'"),
        (["--target", "n", "--features", "label"], "strings or nulls in 'label'"),
    ):
        with pytest.raises(SystemExit):
            main(["tune-xi", str(tmp_path / "f.parquet"), *words])
        assert message in capsys.readouterr().err
