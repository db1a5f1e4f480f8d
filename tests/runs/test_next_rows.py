"""What to ask the teacher next: only rows without an answer, drawn as said, and counted so by the students after it."""

import csv
import json
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest

from overproof.commands.main import main
from overproof.data.ids import text_ids
from overproof.deployment.provenance import chosen_student
from overproof.errors import InputError
from overproof.evaluation.staged_draws import Stage, draw_weights
from overproof.models import load_student
from overproof.progress import Silent
from overproof.runs.answered import read_answered, without_answers
from overproof.runs.asking.draws import made
from overproof.runs.asking.rows import Columns, rows_of
from overproof.runs.caches import Caches
from overproof.runs.experiment import experiment_from
from overproof.runs.pipeline import Run, open_run
from overproof.synthetic import blobs
from overproof.teachers.endpoint.prompt import read_prompt

NAMES = np.array(["01", "1", "green"])
NUM, NUM_LABELLED, NUM_TEST = 500, 60, 100


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A table whose first rows are labelled, a teacher's answers to everything, and a run on some of them."""
    folder = tmp_path_factory.mktemp("next")
    made_world = blobs(num_examples=NUM, num_classes=3, seed=0)
    truth, said = NAMES[made_world.label.numpy()], NAMES[made_world.teacher_probs.argmax(dim=1).numpy()]
    values = made_world.inputs.numpy().round(4).astype(str)
    # Ten rows without an answer repeat the content of others.
    values[300:310] = values[310:320]
    head = ["key", *(f"x{i}" for i in range(values.shape[1])), "kind"]
    pool = slice(NUM_LABELLED, NUM - NUM_TEST)
    parts = {"all": range(NUM - NUM_TEST), "test": range(NUM - NUM_TEST, NUM)}
    for name, rows in parts.items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            shown = [truth[i] if i < NUM_LABELLED or name == "test" else "" for i in rows]
            lines = [[f"r{i}", *values[i], label] for i, label in zip(rows, shown, strict=True)]
            csv.writer(file).writerows([head, *lines])
    answers = {f"r{i}": str(each) for i, each in enumerate(said)}
    assert {answers[f"r{i}"] for i in range(pool.start, pool.stop)} == set(NAMES)
    first = [*range(NUM_LABELLED), *range(NUM_LABELLED + 1, 240, 2)]
    written(folder / "first.csv", [{"id": f"r{i}", "label": answers[f"r{i}"]} for i in first])
    Run(experiment=experiment(folder, "first.csv"), folder=folder / "run", progress=Silent()).all_steps()
    return folder, answers


def written(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def experiment(folder, *answers, methods=("hard", "slam_auto"), **teacher):
    source = {"label": "kind", "id": "key"}
    return experiment_from(
        {
            "data": {
                "files": {name: {"path": str(folder / f"{name}.csv"), **source} for name in ("all", "test")},
                "rows": {"labelled": "all"},
            },
            "teacher": {"answers": [str(folder / each) for each in answers], "unanswered": "drop", **teacher},
            "student": {"name": "linear"},
            "train": {"epochs": 4, "batch_size": 32, "learning_rate": 0.05},
            "methods": list(methods),
            "seeds": [0],
        }
    )


def asked(run, out, *more, num=40):
    main(["next", str(run), "--for", "teacher", "--budget", str(num), "--out", str(out), *more])
    with out.open(newline="") as file:
        return list(csv.DictReader(file))


def weights(given):
    """What the pool's rows count, by their ids."""
    roles = read_answered(given, None, Caches())
    pool = roles.for_seed(0).pool
    found = None if roles.draws is None else roles.draws.of(pool.keys)
    return dict(zip(pool.keys.to_pylist(), [1.0] * len(pool) if found is None else found.tolist(), strict=True)), roles


def students(folder):
    return {each.parent.name: each.read_bytes() for each in folder.glob("students/seed-0/*/student.safetensors")}


def with_answers(folder, name, rows, answers, *columns):
    kept = [{name: row[name] for name in columns} for row in rows]
    written(
        folder / name,
        [{**row, "id": each["id"], "label": answers[each["id"]]} for row, each in zip(kept, rows, strict=True)],
    )


OURS = ("inclusion_probability", "drawn")


@pytest.mark.parametrize("rule", ["uncertainty", "robust"])
def test_rows_are_asked_answered_and_counted_by_what_they_stand_for(world, tmp_path, rule, capsys):
    folder, answers = world
    rows = asked(folder / "run", tmp_path / "next.csv", "--rule", rule)
    # Without an answer, without a label, of every content one.
    unanswered = {f"r{i}" for i in range(NUM_LABELLED, 400) if i >= 240 or i % 2 == 0}
    ids = [row["id"] for row in rows]
    assert len(set(ids)) == 40
    assert set(ids) <= unanswered
    assert list(rows[0]) == ["id", *(f"x{i}" for i in range(len(rows[0]) - 3)), *OURS]
    left = len(unanswered) - 10
    assert {row["drawn"] for row in rows} == {f"40 of {left}"}
    inclusion = np.array([float(row["inclusion_probability"]) for row in rows])
    assert 0.5 * 40 / left <= inclusion.min() < inclusion.max() <= 1
    assert asked(folder / "run", tmp_path / "again.csv", "--rule", rule) == rows
    capsys.readouterr()

    name = f"second-{rule}.csv"
    with_answers(folder, name, rows, answers, *OURS)
    found, roles = weights(experiment(folder, "first.csv", name))
    assert len(found) == 90 + 40
    for row, each in zip(rows, inclusion, strict=True):
        assert found[row["id"]] == pytest.approx(40 / left / each, rel=1e-6)
    assert {found[key] for key in found if key not in ids} == {1.0}
    assert any("second" in remark and "taken for a random sample, once" in remark for remark in roles.remarks)

    given = experiment(folder, "first.csv", name)
    Run(experiment=given, folder=tmp_path / "run", progress=Silent()).all_steps()
    # A tool may have dropped the columns: the file of `next` says the same.
    with_answers(folder, f"bare-{rule}.csv", rows, answers)
    bare = experiment(folder, "first.csv", f"bare-{rule}.csv", draws=[str(tmp_path / "next.csv")])
    Run(experiment=bare, folder=tmp_path / "bare", progress=Silent()).all_steps()
    alike = experiment(folder, "first.csv", f"bare-{rule}.csv")
    Run(experiment=alike, folder=tmp_path / "alike", progress=Silent()).all_steps()
    counted, said, plain = (students(tmp_path / each) for each in ("run", "bare", "alike"))
    assert counted == said
    assert counted["labelled_only"] == plain["labelled_only"]
    assert all(counted[each] != plain[each] for each in ("hard", "slam_auto", "soft"))

    # The next draw is from what is left, and the one before counts less unequally.
    more = asked(tmp_path / "run", tmp_path / "third.csv", "--rule", rule, num=30)
    rest = len({key for key in unanswered if key not in ids}) - 10
    stages = [Stage(num_left=left, num=40), Stage(num_left=int(more[0]["drawn"].split()[-1]), num=30)]
    assert abs(stages[1].num_left - rest) <= 10, "a repeat of an asked row may be left"
    with_answers(folder, f"third-{rule}.csv", more, answers, *OURS)
    found, _ = weights(experiment(folder, "first.csv", name, f"third-{rule}.csv"))
    wanted = draw_weights(
        np.array([float(row["inclusion_probability"]) for row in [*rows, *more]]), np.repeat([0, 1], [40, 30]), stages
    )
    assert [found[row["id"]] for row in [*rows, *more]] == pytest.approx(wanted, rel=1e-6)


def test_rows_drawn_alike_give_the_bytes_of_rows_without_a_draw(world, tmp_path):
    folder, answers = world
    rows = asked(folder / "run", tmp_path / "next.csv", "--rule", "random")
    for name, columns in (("random.csv", OURS), ("random-bare.csv", ())):
        with_answers(folder, name, rows, answers, *columns)
        given = experiment(folder, "first.csv", name, methods=["hard"])
        Run(experiment=given, folder=tmp_path / name, progress=Silent()).all_steps()
    assert students(tmp_path / "random.csv") == students(tmp_path / "random-bare.csv")
    # Asked about everything that is left, each row is there for sure.
    everything = asked(folder / "run", tmp_path / "all.csv", num=5000)
    assert {row["inclusion_probability"] for row in everything} == {"1.0"}
    assert len(everything) == 240


def test_the_answers_of_a_model_keep_how_its_rows_were_drawn(world, tmp_path):
    folder, _ = world
    rows = asked(folder / "run", tmp_path / "next.csv")
    (tmp_path / "prompt.txt").write_text("One of {classes}: {x0}")
    prompt = read_prompt(str(tmp_path / "prompt.txt"))
    found = rows_of(str(tmp_path / "next.csv"), prompt, Columns(classes="01,1,green"), "prompt.txt")
    assert list(found.ids) == [row["id"] for row in rows]
    assert {name: list(map(str, found.kept[name])) for name in OURS} == {name: [r[name] for r in rows] for name in OURS}
    with pytest.raises(InputError, match="--classes"):
        rows_of(str(tmp_path / "next.csv"), prompt, Columns(), "prompt.txt")


def test_texts_without_ids_are_asked_by_their_content(tmp_path):
    words = {"good": "yes", "bad": "no"}
    generator = np.random.default_rng(0)
    texts = [f"a {kind} thing number {i}" for i, kind in enumerate(generator.choice(list(words), 160))]
    known = [words[text.split()[1]] for text in texts]
    lines = [{"text": text, "label": known[i] if i < 40 else ""} for i, text in enumerate(texts)]
    written(tmp_path / "all.csv", lines)
    ids = [each.hex() for each in text_ids(pa.array(texts)).tolist()]
    written(tmp_path / "first.csv", [{"id": ids[i], "label": known[i]} for i in range(100)])
    given = experiment_from(
        {
            "data": {
                "files": {"all": {"path": str(tmp_path / "all.csv"), "input": "text", "label": "label"}},
                "rows": {"labelled": "all", "test": 0},
            },
            "teacher": {"answers": str(tmp_path / "first.csv"), "unanswered": "drop"},
            "train": {"epochs": 2},
            "methods": ["hard"],
            "seeds": [0],
        }
    )
    Run(experiment=given, folder=tmp_path / "run", progress=Silent()).distill()
    rows = asked(tmp_path / "run", tmp_path / "next.csv", "--method", "hard", num=20)
    assert {row["id"]: row["text"] for row in rows}.items() <= dict(zip(ids[100:], texts[100:], strict=True)).items()


GOOD = {"inclusion_probability": "0.25", "drawn": "2 of 8"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inclusion_probability": "0"}, r"row 1 .* is 0.*above 0 and up to 1"),
        ({"inclusion_probability": "1.5"}, "1.5"),
        ({"inclusion_probability": "often"}, "'often'"),
        ({"inclusion_probability": ""}, "up to 1 is needed"),
        ({"drawn": "some"}, "'some'; it says how many"),
        ({"drawn": "9 of 8"}, "9 of 8"),
        ({"drawn": ""}, "how many rows were drawn"),
        ({"drawn": "3 of 8"}, "are from the same rows"),
    ],
)
def test_columns_that_say_nothing_useful_are_refused(world, change, words):
    folder, answers = world
    rows = [{"id": "r60", "label": answers["r60"], **GOOD}, {"id": "r62", "label": answers["r62"], **GOOD, **change}]
    written(folder / "odd.csv", rows)
    with pytest.raises(InputError, match=words):
        weights(experiment(folder, "first.csv", "odd.csv"))


def test_contradictions_and_missing_columns_are_refused(world):
    folder, answers = world
    one = {"id": "r60", "label": answers["r60"], **GOOD}
    written(folder / "one.csv", [one])
    written(folder / "two.csv", [{**one, "inclusion_probability": "0.5"}])
    with pytest.raises(InputError, match="a row is drawn once"):
        weights(experiment(folder, "first.csv", "one.csv", "two.csv"))
    for name in OURS:
        written(folder / "less.csv", [{key: value for key, value in one.items() if key != name}])
        with pytest.raises(InputError, match=f"no column '{name}'"):
            weights(experiment(folder, "first.csv", "less.csv"))
    with pytest.raises(InputError, match=r"teacher\.draws"):
        weights(experiment(folder, "first.csv", draws=str(folder / "first.csv")))
    with pytest.raises(InputError, match="there are none"):
        experiment_from({**experiment(folder, "first.csv").model_dump(), "teacher": {"draws": ["one.csv"]}})
    several = experiment(folder, "first.csv", "one.csv").model_dump()
    several["teacher"]["others"] = [{"answers": [str(folder / "first.csv")], "unanswered": "drop"}]
    with pytest.raises(InputError, match="there are 2"):
        weights(experiment_from(several))
    # A row without both is of the random sample.
    blank = {**one, "id": "r62", "label": answers["r62"], "inclusion_probability": "", "drawn": ""}
    written(folder / "mixed.csv", [one, blank])
    found, _ = weights(experiment(folder, "first.csv", "mixed.csv"))
    assert (found["r60"], found["r62"]) == (1.0, 1.0), "2 of 8 at .25 is what all rows have"


def test_draws_are_in_the_order_of_what_was_left():
    found = made({"a": (0.5, Stage(num_left=6, num=2)), "b": (0.25, Stage(num_left=8, num=2))}, ["x.csv"])
    assert [str(each) for each in found.stages] == ["2 of 8", "2 of 6"]
    assert found.weight == pytest.approx({"a": (2 / 6) / 0.5, "b": 1.0})


def test_commands_that_do_not_fit_are_refused(world, tmp_path, capsys):
    folder, answers = world

    def refused(*words, run=folder / "run"):
        with pytest.raises(SystemExit) as ended:
            main(["next", str(run), "--out", str(tmp_path / "x.csv"), *words])
        assert ended.value.code == 2
        assert not (tmp_path / "x.csv").exists()
        return " ".join(capsys.readouterr().err.split())

    assert "--for people" in refused("--for", "teacher", "--purpose", "random")
    assert "--for teacher" in refused("--rule", "random")
    assert "no trained student 'best'" in refused("--for", "teacher", "--method", "best")
    written(folder / "whole.csv", [{"id": key, "label": each} for key, each in answers.items()])
    Run(experiment=experiment(folder, "whole.csv"), folder=tmp_path / "whole", progress=Silent()).all_steps()
    assert "nothing left to ask" in refused("--for", "teacher", run=tmp_path / "whole")
    trained = experiment(folder, "first.csv").model_dump()
    trained["teacher"] = {"model": "sklearn.linear_model:LogisticRegression"}
    Run(experiment=experiment_from(trained), folder=tmp_path / "trained", progress=Silent()).all_steps()
    assert "answers every example itself" in refused("--for", "teacher", run=tmp_path / "trained")
    with suppress(FileNotFoundError):
        (tmp_path / "x.csv").unlink()
    main(["next", str(folder / "run"), "--for", "teacher", "--out", str(tmp_path / "x.csv"), "--json", "--budget", "9"])
    facts = json.loads(capsys.readouterr().out)
    assert (facts["for"], facts["num_listed"], facts["rule"]) == ("teacher", 9, "uncertainty")
    assert open_run(folder / "run").experiment.teacher.unanswered == "drop"


def test_answers_that_are_the_first_rows_of_the_file_are_named(world, tmp_path, capsys):
    folder, answers = world
    written(folder / "top.csv", [{"id": f"r{i}", "label": answers[f"r{i}"]} for i in range(150)])
    Run(experiment=experiment(folder, "top.csv"), folder=tmp_path / "top", progress=Silent()).all_steps()
    capsys.readouterr()
    asked(tmp_path / "top", tmp_path / "next.csv")
    assert "first ones of the file" in " ".join(capsys.readouterr().err.split())
    asked(folder / "run", tmp_path / "other.csv")
    assert "first ones of the file" not in " ".join(capsys.readouterr().err.split())


def test_the_least_sure_rows_are_no_draw(world, tmp_path, capsys):
    folder, answers = world
    rows = asked(folder / "run", tmp_path / "next.csv", "--rule", "least_sure", num=30)
    assert not set(OURS) & set(rows[0])
    assert "no sample of the pool" in " ".join(capsys.readouterr().err.split())
    everything = asked(folder / "run", tmp_path / "all.csv", "--rule", "least_sure", num=5000)
    assert rows == everything[:30]
    run = open_run(folder / "run")
    student = load_student(folder / "run" / "students" / "seed-0" / chosen_student(folder / "run").row)
    examples, _ = without_answers(run.experiment, None, Caches())
    margins = student.probs(student.encode(examples)).topk(2, dim=1).values.diff(dim=1).abs()[:, 0]
    by_id = dict(zip(examples.keys.to_pylist(), margins.tolist(), strict=True))
    found = [by_id[row["id"]] for row in everything]
    assert found == sorted(found)
    with_answers(folder, "least.csv", rows, answers)
    counted, roles = weights(experiment(folder, "first.csv", "least.csv"))
    assert roles.draws is None
    assert set(counted.values()) == {1.0}
