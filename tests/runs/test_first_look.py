"""Files of a new user are understood or asked about: columns, roles, answers, and the experiment that is written."""

import csv
import re
import shlex
import sqlite3
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from overproof.answers.tools import check_format
from overproof.commands.main import main
from overproof.commands.run import experiment_of
from overproof.data.readers.csv_stream import open_csv_stream
from overproof.errors import InputError
from overproof.methods.published import method_names
from overproof.models import ZOO
from overproof.runs.experiment import load
from overproof.runs.first_look.columns import facts_of, groups_of, texts_of
from overproof.runs.first_look.explain import all_keys, explained
from overproof.runs.first_look.proposal import propose
from overproof.runs.first_look.sources import Choices
from overproof.runs.first_look.written import typed
from overproof.runs.preflight import preflight


def write(path: Path, *rows) -> str:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return str(path)


TEXTS = [[f"t{i}", f"the word{i % 3} of a ticket about number {i}", "abc"[i % 3]] for i in range(150)]
HEAD = ["key", "body", "queue"]


def tickets(folder: Path, name: str = "tickets.csv", first: int = 0, last: int = 150, every: int = 2) -> str:
    """Rows of texts of which every second one has a label."""
    rows = [[key, body, queue if i % every == 0 else ""] for i, (key, body, queue) in enumerate(TEXTS[first:last])]
    return write(folder / name, HEAD, *rows)


def files_of(made) -> dict:
    return {
        role: (Path(source["path"]).name, source.get("label")) for role, source in made.content["data"]["files"].items()
    }


def test_one_file_of_which_some_rows_have_a_label(tmp_path):
    made = propose([tickets(tmp_path)], Choices())
    source = made.content["data"]["files"]["all"]
    assert (source["input"], source["label"], source["id"]) == ("body", "queue", "key")
    assert made.content["data"]["rows"] == {"labelled": "all", "test": "cross-validate"}
    drawn = made.roles.for_seed(0).by_role()
    assert {role: len(each) for role, each in drawn.items()} == {"labelled": 75, "pool": 75}
    said = " ".join(made.sentences())
    assert "3 classes in 75 of 150 rows (a 25, b 25, c 25)" in said
    assert (
        "cross-validated over the 75 labelled rows in 5 folds, so that an accuracy near 80 % is known to about" in said
    )
    assert "Every training is made 6 times: labelled rows as test=FILE save that" in said
    assert "taken as labelled examples and pool." in said
    assert "Unsure: 'queue' is taken for the label because it has few different values and is empty in some" in said
    assert "Unsure: 'queue'" not in " ".join(propose([tickets(tmp_path)], Choices(label="queue")).sentences())


def test_several_files_have_the_roles_that_names_or_labels_say(tmp_path):
    full, rest = tickets(tmp_path, "one.csv", 0, 60, every=1), tickets(tmp_path, "other.csv", 60, 100, every=1)
    pool = write(tmp_path / "rows.csv", HEAD[:2], *(row[:2] for row in TEXTS[100:]))
    test = tickets(tmp_path, "my-test.csv", 60, 100, every=1)
    made = propose([full, test, pool], Choices())
    assert files_of(made) == {
        "labelled": ("one.csv", "queue"), "test": ("my-test.csv", "queue"), "pool": ("rows.csv", None),
    }  # fmt: skip
    assert "rows" not in made.content["data"]
    # Without a test the labelled rows are divided.
    assert files_of(propose([full, pool], Choices())) == {"all": ("one.csv", "queue"), "pool": ("rows.csv", None)}
    # Two files with all labels could each be the test.
    with pytest.raises(
        InputError, match=r"has a label, so either may be the test: write labelled=.*one.csv test=.*other"
    ):
        propose([full, rest, pool], Choices())
    assert "test" in files_of(propose([f"labelled={full}", f"test={rest}", pool], Choices()))
    # No label is lost to a file that has some.
    part = tickets(tmp_path, "part.csv", 60, 150)
    assert len(propose([full, part], Choices()).content["data"]["files"]["all"]["path"]) == 2


def test_what_cannot_be_known_is_asked_for(tmp_path):
    two = write(
        tmp_path / "two.csv", ["body", "one", "other"], *([f"a few words {i}", i % 3, i % 2] for i in range(60))
    )
    full = tickets(tmp_path, "full.csv", every=1)
    for files, words in (
        (
            [two],
            "Which column is the label. 'one' has 3 different values in 60 rows; 'other' has 2 .*: write --label one",
        ),
        ([full], "so that no row is left for the teacher to answer: .*--set data.rows.labelled=100"),
        ([tickets(tmp_path, "few.csv", 0, 24)], "12 rows have a label in 'queue', too few .* label at least 20"),
        ([write(tmp_path / "none.csv", HEAD[:2], *(row[:2] for row in TEXTS))], "name it with --label"),
    ):
        with pytest.raises(InputError, match=words):
            propose(files, Choices())
    with pytest.raises(InputError, match=r"--text 'boby': no file has such a column \(nearest: 'body'\)"):
        propose([full], Choices(text=("boby",)))
    # Of all 75 labelled rows none is left for a test, nor where labelled rows and pool are nearly all that there is.
    for rows, test in (
        ("{labelled: 75}", "cross-validate"),
        ("{labelled: 70}", "cross-validate"),
        ("{labelled: 50}", 25),
        ("{labelled: 50, pool: 85}", "cross-validate"),
        ("{labelled: 50, pool: 80}", 20),
    ):
        made = propose([tickets(tmp_path)], Choices(changes=(f"data.rows={rows}",)))
        assert made.experiment.data.rows["test"] == test, rows
        if "pool" in rows:
            assert len(made.roles.for_seed(0).labelled) == 50
    made = propose([full], Choices(changes=("data.rows.labelled=30",)))
    assert made.content["data"]["rows"] == {"labelled": 30, "test": 50}


@pytest.mark.parametrize("mark", [";", "|", "\t"])
def test_a_file_with_another_separator_is_read_as_one_with_commas(mark, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    commas = Path(tickets(tmp_path)).read_text()
    Path("others.csv").write_text(commas.replace(",", mark).replace("word1 of", "word1, of"))
    made = propose(["others.csv"], Choices())
    assert (made.num_labelled, len(made.roles.fixed["train"])) == (75, 150)
    assert {each for each in pa.array(made.roles.fixed["train"].inputs).to_pylist() if "word1" in each} == {
        body.replace("word1 of", "word1, of") for _, body, _ in TEXTS if "word1" in body
    }
    # So do new rows.
    stream = open_csv_stream(Path("others.csv"), "others.csv", {})
    assert stream.columns == ("key", "body", "queue")
    assert next(stream.tables(["body"])).column("body")[1].as_py() == "the word1, of a ticket about number 1"
    # A mark that is part of one text only does not fit the first line.
    Path("one.csv").write_text(f"body{mark}queue\na text{mark}with a mark{mark}a\nb{mark}b\n")
    with pytest.raises(InputError, match=r"has 3 cells in row 0 .*; every row must have 2 like the first"):
        propose(["one.csv"], Choices())


@pytest.mark.parametrize("coding", ["cp1252", "utf-16"])
def test_a_file_that_is_not_utf_8_names_the_line_that_makes_it_so(coding, tmp_path):
    path = tmp_path / "german.csv"
    path.write_bytes("text,queue\ngr\u00fc\u00dfe,a\n".encode(coding))
    name = {"cp1252": "WINDOWS-1252", "utf-16": "UTF-16"}[coding]
    with pytest.raises(InputError, match=f"iconv -f {name} -t UTF-8 FILE > NEW"):
        propose([str(path)], Choices())


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet", "feather", "arff"])
def test_a_file_without_rows_is_refused(ending, tmp_path):
    path, none = (
        tmp_path / f"none.{ending}",
        pa.table({"body": pa.array([], pa.string()), "queue": pa.array([], pa.string())}),
    )
    match ending:
        case "parquet":
            pq.write_table(none, path)
        case "feather":
            pa.feather.write_feather(none, path)
        case _:
            arff = "@relation r\n@attribute body string\n@attribute queue {a,b}\n@data\n"
            path.write_text({"csv": "body,queue\n", "tsv": "body\tqueue\n", "json": "[]", "arff": arff}.get(ending, ""))
    with pytest.raises(InputError, match=r"(has no rows|is empty); at least one is needed|at least one row is needed"):
        propose([str(path)], Choices())


def test_the_column_with_a_word_for_no_label_is_named_first(tmp_path):
    rows = [[i / 7, "xyz"[i % 3], "pq"[i % 2], "uvw"[i % 3], "ab"[i % 2] if i < 20 else "NA"] for i in range(200)]
    path = write(tmp_path / "t.csv", ["n", "one", "two", "three", "last"], *rows)
    with pytest.raises(InputError, match=r"Which column is the label\? 'last' .*: write --label last or another"):
        propose([path], Choices())


def test_options_for_labels_and_for_answers_that_are_proposed_together_fit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    odd = {4: "Bill", 8: "bill "}
    rows = [
        [key, body, odd.get(i, ["bill", "login"][i // 2 % 2]) if i % 2 == 0 else ""]
        for i, (key, body, _) in enumerate(TEXTS)
    ]
    write(tmp_path / "odd.csv", HEAD, *rows)
    answer = [[key, "BILL." if i % 5 == 0 else ["bill", "login"][i // 2 % 2]] for i, (key, _, _) in enumerate(TEXTS)]
    write(tmp_path / "llm.csv", ["key", "label"], *answer)
    made = propose(["odd.csv"], Choices(answers=("llm.csv",)))
    options = [
        shlex.split(each.partition("write --set ")[2].rstrip("."))[0] for each in made.unsure if "aliases" in each
    ]
    assert any(each.startswith("data.files.all.aliases=") for each in options)
    again = propose(["odd.csv"], Choices(answers=("llm.csv",), changes=tuple(options)))
    assert again.roles.class_names == ("bill", "login")
    assert not [each for each in again.unsure if "aliases" in each]


def test_labels_that_differ_in_case_are_one_class_with_the_option_that_is_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    odd = {4: "A", 8: " a", 12: "B "}
    rows = [[key, body, odd.get(i, queue) if i % 2 == 0 else ""] for i, (key, body, queue) in enumerate(TEXTS)]
    write(tmp_path / "odd.csv", HEAD, *rows)
    made = propose(["odd.csv"], Choices())
    (unsure,) = [each for each in made.unsure if "case or spaces" in each]
    option = shlex.split(unsure.partition("write --set ")[2].removesuffix("."))[0]
    assert sorted(made.roles.class_names) == [" a", "A", "B ", "a", "b", "c"]
    again = propose(["odd.csv"], Choices(changes=(option,)))
    assert again.roles.class_names == ("a", "b", "c")
    assert not [each for each in again.sentences() if "case or spaces" in each]
    labels = {i: queue for i, (_, _, queue) in enumerate(TEXTS) if i % 2 == 0}
    wanted = {i: queue if i not in odd else odd[i].strip().lower() for i, queue in labels.items()}
    train = again.roles.fixed["train"]
    number = {key.as_py(): row for row, key in enumerate(train.keys)} if train.keys is not None else None
    found = {i: train.label[number[f"t{i}"] if number else i].item() for i in wanted}
    assert found == {i: "abc".index(queue) for i, queue in wanted.items()}
    with pytest.raises(InputError, match="aliases has 'a' both as a spelling and as what one is read as"):
        propose(["odd.csv"], Choices(changes=("data.files.all.aliases={A: a, a: b}",)))


def test_marks_for_no_label_are_asked_for_and_taken(tmp_path):
    rows = [[key, body, queue if i % 2 else "?"] for i, (key, body, queue) in enumerate(TEXTS)]
    path = write(tmp_path / "marks.csv", HEAD, *rows)
    with pytest.raises(InputError) as raised:
        propose([path], Choices())
    word = "data.files.all.unlabelled=['?']"
    assert str(raised.value).endswith(f"(Here: --set \"{word}\" or --set 'data.files.all.unlabelled=[]'.)")
    made = propose([path], Choices(changes=(word,)))
    assert len(made.roles.for_seed(0).pool) == 75


def test_a_table_is_read_without_what_is_no_feature(tmp_path):
    draw = np.random.default_rng(0)
    rows = [
        [i, f"N{i}", f"{draw.normal():.3f}", "" if i % 9 == 0 else f"{draw.normal():.3f}", "pq"[i % 2] if i % 3 else ""]
        for i in range(120)
    ]
    made = propose([write(tmp_path / "table.csv", ["count", "name", "x", "z", "kind"], *rows)], Choices())
    source = made.content["data"]["files"]["all"]
    assert source["ignore"] == ["name", "count"]
    assert source["missing"] == "allow"
    assert "Missing values are kept as missing (missing: allow): 14 in 'z'." in " ".join(made.sentences())
    assert made.roles.fixed["train"].column_names == ["x", "z"]
    assert "'count' numbers the rows and is left out; write --id count if it is" in " ".join(made.sentences())


def test_a_number_in_the_order_of_the_rows_is_spoken_of_once(tmp_path):
    """It is no consecutive count, and was first said to be read, then to be left out."""
    rows = [[1000 + 3 * row, f"{row * 0.37 % 1:.4f}", "pq"[row % 2] if row % 3 else ""] for row in range(120)]
    made = propose([write(tmp_path / "table.csv", ["num", "x", "kind"], *rows)], Choices(label="kind"))
    said = [each for each in made.sentences() if "'num'" in each and each.startswith("Unsure")]
    assert said == ["Unsure: 'num' numbers the rows and is left out; write --id num if it is the id."]


def test_every_column_is_said_and_codes_are_no_quantities(tmp_path):
    draw = np.random.default_rng(0)
    rows = [
        [f"N{i}", 90000 + i * i, f"{10000 + i % 7}", f"{draw.normal():.3f}", "uvw"[i % 3], "pq"[i % 2] if i % 3 else ""]
        for i in range(120)
    ]
    path = write(tmp_path / "table.csv", ["ref", "order", "zip", "x", "city", "kind"], *rows)
    made = propose([path], Choices())
    said = " ".join(made.sentences())
    assert "Columns: 'ref', 'order' left out; 'zip', 'city' categories; 'x' numbers; 'kind' label." in said
    assert "'zip': a code by its name, and read as categories" in said
    assert "'order' numbers the rows and is left out; write --id order if it is the id." in said
    assert made.content["data"]["files"]["all"]["categories"] == ["zip"]
    assert made.comments["methods"] == "the labels choose how it is corrected"


def test_two_columns_of_text_are_one_where_both_are_named(tmp_path):
    rows = [
        [key, f"a longer head {i % 40} of it", body, queue if i % 2 else ""]
        for i, (key, body, queue) in enumerate(TEXTS)
    ]
    path = write(tmp_path / "mails.csv", ["key", "head", "body", "queue"], *rows)
    said = " ".join(propose([path], Choices()).sentences())
    assert (
        "'body' is taken for the text, and 'head' not read; for both as one text write --text head --text body." in said
    )
    made = propose([path], Choices(text=("head", "body")))
    assert made.content["data"]["files"]["all"]["input"] == ["head", "body"]
    assert "'head', 'body' text" in " ".join(made.sentences())
    assert made.roles.fixed["train"].inputs[0].as_py().startswith("a longer head")


def test_missing_values_are_counted_in_all_files(tmp_path):
    draw = np.random.default_rng(0)

    def table(name, gaps):
        numbers = [[f"{a:.3f}", f"{b:.3f}", "pq"[int(a > 0)]] for a, b in draw.normal(size=(60, 2))]
        rows = [["" if i < gaps else a, b, label if name == "some" else ""] for i, (a, b, label) in enumerate(numbers)]
        return write(tmp_path / f"{name}.csv", ["x", "z", "kind"], *rows)

    made = propose([table("some", 3), table("pool", 0)], Choices(label="kind"))
    assert "(missing: allow): 3 in 'x'." in " ".join(made.sentences())
    assert "Missing" not in " ".join(propose([table("some", 0), table("pool", 0)], Choices(label="kind")).sentences())
    rows = [[key, "" if i in (3, 4) else body, queue if i % 2 else ""] for i, (key, body, queue) in enumerate(TEXTS)]
    made = propose([write(tmp_path / "texts.csv", HEAD, *rows)], Choices())
    assert "2 rows have no 'body' and are left out (missing: drop)." in " ".join(made.sentences())


def test_images_in_folders_of_which_one_is_no_class(tmp_path):
    draw = np.random.default_rng(0)
    for i in range(90):
        place = tmp_path / "shots" / ("cat", "dog", "unlabelled")[i % 3]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (4, 4, 3), dtype=np.uint8)).save(place / f"{i}.png")
    made = propose([str(tmp_path / "shots")], Choices())
    assert made.content["data"]["files"]["all"]["unlabelled"] == ["unlabelled"]
    assert {role: len(each) for role, each in made.roles.for_seed(0).by_role().items()} == {
        "labelled": 60, "pool": 30,
    }  # fmt: skip


def answers(folder: Path, head=("ticket", "llm_queue", "seconds")) -> str:
    return write(folder / "llm.csv", head, *([key, queue, i / 10] for i, (key, _, queue) in enumerate(TEXTS)))


def test_answers_join_by_the_values_of_their_columns(tmp_path):
    made = propose([tickets(tmp_path)], Choices(answers=(answers(tmp_path),)))
    assert made.content["teacher"]["columns"] == {"id": "ticket", "label": "llm_queue"}
    said = " ".join(made.sentences())
    assert "joined by 'ticket' with 'key': 150 of 150 rows are of an example here" in said
    # The classes of the answers say which column is the label.
    assert "taken for the label" not in said
    other = write(tmp_path / "other.csv", ["row", "label"], *([i + 9000, "a"] for i in range(150)))
    with pytest.raises(InputError, match=r"other\.csv has no column of ids: none of 'row', 'label' has the values"):
        propose([tickets(tmp_path)], Choices(answers=(other,)))
    alone = write(tmp_path / "alone.csv", ["llm"], *([queue] for _, _, queue in TEXTS))
    with pytest.raises(InputError, match=r"its 150 rows are as many as the data's: .* same order, write --align rows"):
        propose([tickets(tmp_path)], Choices(answers=(alone,)))
    of_labelled = write(tmp_path / "few.csv", ["key", "label"], *([key, queue] for key, _, queue in TEXTS[::2]))
    with pytest.raises(InputError, match=r"few\.csv answers none of the 75 pool examples \(and 75 with a label\): ask"):
        propose([tickets(tmp_path)], Choices(answers=(of_labelled,)))
    twice = [[key if key != "t5" else "t4", body, queue if i % 2 else ""] for i, (key, body, queue) in enumerate(TEXTS)]
    repeated = write(tmp_path / "twice.csv", HEAD, *twice)
    named = write(tmp_path / "named.csv", ["key", "label"], *([key, queue] for key, _, queue in TEXTS))
    with pytest.raises(InputError, match=r"\('key' would be it, but 2 rows of the data have 't4'\); write the answers"):
        propose([repeated], Choices(answers=(named,)))


def test_the_column_of_the_answers_is_found_or_asked_for(tmp_path):
    path = tickets(tmp_path)
    two = write(
        tmp_path / "two.csv",
        ["key", "one", "two"],
        *([row[0], *("xy"[i % 2], "zw"[i % 2])] for i, row in enumerate(TEXTS)),
    )
    with pytest.raises(
        InputError, match=r"Which column of .*two\.csv is the answer\? 'one', 'two': write --set teacher"
    ):
        propose([path], Choices(answers=(two,)))
    with pytest.raises(
        InputError, match=r"answers none of the 150 .*'y' .*; the classes are 'a', 'b', 'c'; `teacher.a"
    ):
        propose([path], Choices(answers=(two,), changes=("teacher.columns.label=one",)))
    # The one that names the classes of the data, also where it is in the same file as the labels.
    rows = [[*row[:2], row[2] if i % 2 else "", row[2], "uv"[i % 2]] for i, row in enumerate(TEXTS)]
    both = write(tmp_path / "both.csv", [*HEAD, "model_said", "region"], *rows)
    made = propose([both], Choices(label="queue", answers=(both,)))
    assert made.content["teacher"]["columns"] == {"id": "key", "label": "model_said"}
    # What a run would refuse is refused at once.
    odd = write(tmp_path / "odd.csv", ["key", "a", "b", "c"], *([row[0], 0.5, 0.2, 0.2] for row in TEXTS))
    with pytest.raises(InputError, match=r"the probabilities sum to 0\.9"):
        propose([path], Choices(answers=(odd,)))


def test_words_that_are_no_class_are_advised_on_and_lists_in_cells_are_read(tmp_path):
    words = ["a", "b", "c", "aa", "no; idea"]
    odd = write(tmp_path / "odd.csv", ["key", "label"], *([row[0], words[i % 5]] for i, row in enumerate(TEXTS)))
    made = propose([tickets(tmp_path)], Choices(answers=(odd,)))
    said = " ".join(made.sentences())
    assert ") is nearly a class: write --set 'teacher.aliases={aa: a}' if it means that one." in said
    assert (
        ") is no class and left out; if it means one, write --set 'teacher.aliases={aa: a, no; idea: CLASS}'." in said
    )
    assert "students are cross-validated over the 75 labelled rows" in said
    # Those without an answer are among them: their labels are kept.
    assert "30 keep their label, which students are trained on" in said
    assert "labelled rows are cross-validated" not in said
    typed = Choices(answers=(odd,), changes=("teacher.aliases={aa: a, no; idea: b}",))
    assert "no answer to" not in " ".join(propose([tickets(tmp_path)], typed).sentences())
    rows = [[row[0], "a;b" if i % 5 else "c"] for i, row in enumerate(TEXTS)]
    made = propose([tickets(tmp_path)], Choices(answers=(write(tmp_path / "sets.csv", ["key", "label"], *rows),)))
    assert made.experiment.teacher.vote == "set"
    assert "120 answers list several classes, such as 'a;b': all of them are taken for" in " ".join(made.sentences())
    assert len(made.roles.for_seed(0).labelled) == 75


def test_the_command_writes_a_file_that_runs_and_never_over_another(tmp_path, monkeypatch, capsys):
    tickets(tmp_path)
    answers(tmp_path)
    monkeypatch.chdir(tmp_path)
    main(["init", "tickets.csv", "--answers", "llm.csv"])
    shown = capsys.readouterr().out
    assert "  overproof run experiment.yaml --out runs/tickets" in shown
    assert re.search(
        r"\nThe run: about \d+ (s|min) to train 36 students, 30 of them for the cross-validation \(", shown
    )
    text = (tmp_path / "experiment.yaml").read_text()
    assert text.startswith("# Written by `overproof init tickets.csv --answers llm.csv`.")
    assert len(text.splitlines()) < 20
    experiment = load("experiment.yaml")
    assert experiment.teacher.columns == {"id": "ticket", "label": "llm_queue"}
    assert preflight(experiment)["all"].num_rows == 150
    with pytest.raises(SystemExit) as stopped:
        main(["init", "tickets.csv"])
    assert stopped.value.code == 2
    assert "exists already and is not overwritten: add --out experiment-2.yaml, or remove it." in " ".join(
        capsys.readouterr().err.split()
    )
    with pytest.raises(SystemExit):
        main(["init", "tickets.csv", "--out", "mine"])
    assert "an experiment file ends in .yaml: write --out mine.yaml." in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "mine").exists()
    assert (tmp_path / "experiment.yaml").read_text() == text
    main(["init", "tickets.csv", "--answers", "llm.csv", "--out", "b.yaml", "--json"])
    found = yaml.safe_load(capsys.readouterr().out)
    assert found["experiment"]["teacher"]["columns"]["id"] == "ticket"
    assert "to train 36 students, 30 of them" in found["cost"]


def test_the_line_that_it_proposes_for_an_option_runs(tmp_path, monkeypatch, capsys):
    names = {"a": "billing", "b": "login", "c": "other"}
    told = [[key, body, names[queue]] for key, body, queue in TEXTS]
    write(tmp_path / "tickets.csv", HEAD, *([*row[:2], row[2] if i % 2 else ""] for i, row in enumerate(told)))
    words = ["biling" if i % 30 == 0 else row[2] for i, row in enumerate(told)]
    write(tmp_path / "llm.csv", ["key", "label"], *([row[0], word] for row, word in zip(told, words, strict=True)))
    monkeypatch.chdir(tmp_path)
    main(["init", "tickets.csv", "--answers", "llm.csv"])
    shown = capsys.readouterr().out
    option = re.search(r"'biling' \(5\) is nearly a class: write (.*) if it means that one", shown)
    line = re.search(r"With such an option, or several: (overproof init .* )OPTION", shown)
    assert option is not None
    assert line is not None
    main(shlex.split(line[1] + option[1])[1:])
    assert load("experiment-2.yaml").teacher.aliases == {"biling": "billing"}
    again = capsys.readouterr().out
    assert "experiment-2.yaml is written" in again
    assert "is nearly a class" not in again


def test_an_entry_of_a_mapping_is_explained_by_the_mapping():
    assert explained("rows.labelled") == explained("data.rows.pool") == explained("data.rows")


def test_every_key_is_explained():
    found = [explained(key) for key in all_keys()]
    assert len(found) > 100
    assert not [each.key for each in found if not each.about or not each.allowed]
    assert explained("train.epochs").default == "auto"
    assert explained("data.files.all.label").about.startswith("The column or array of the labels")
    assert explained("augmentation").key == "train.augmentation"
    assert set(explained("methods.rounds").keys) >= {"most", "folds"}
    assert [explained("student").names, explained("methods").names] == [
        ("auto", *(f"{name} ({', '.join(each.kinds)})" for name, each in ZOO.items())),
        method_names(),
    ]
    named = [each.key for each in found if each.names]
    assert {"student.name", "teacher.model", "teacher.format", "methods.method"} < set(named)
    # Whatever is listed for a teacher or a format is one.
    assert {"minilm (text)", "cnn (image)", "zero_shot (text)", "endpoint"} < set(explained("teacher.model").names)
    for name in explained("teacher.format").names:
        check_format(name)
    lines = explained("teacher.model").text().splitlines()
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("  names: auto; student; minilm (text)") for line in lines)
    with pytest.raises(InputError, match=r"Several keys are called 'options': teacher\.options, student\.options"):
        explained("options")
    with pytest.raises(InputError, match=r"no key 'train\.epoch'; did you mean 'train.epochs'"):
        explained("train.epoch")


def test_run_takes_the_files_too(tmp_path, monkeypatch, capsys):
    tickets(tmp_path)
    answers(tmp_path)
    monkeypatch.chdir(tmp_path)
    given = Choices(label="queue", answers=("llm.csv",), changes=("seeds=[0]",))
    made = experiment_of(["tickets.csv"], given)
    assert made == propose(["tickets.csv"], given).experiment
    assert made.seeds == (0,)
    assert "Roles: 75 labelled, 75 pool." in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["assess", "tickets.csv", "--out", "runs/x"])
    assert (
        "holds examples and is no experiment file; `overproof init tickets.csv` writes one" in capsys.readouterr().err
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "run/experiment.yaml").write_text("name: x\n")
    (tmp_path / "e.yaml").write_text("name: x\n")
    for files, said in (
        (["e.yaml", "--label", "queue"], "e.yaml is taken for an experiment file; write them there"),
        (["run"], "to go on with it: overproof run run/experiment.yaml --out run"),
        (["none.yaml"], "There is no experiment file 'none.yaml'"),
        (["ticket.csv"], "there is no such file (nearest: 'tickets.csv')"),
    ):
        with pytest.raises(SystemExit):
            main(["run", *files, "--out", "runs/x"])
        assert said in " ".join(capsys.readouterr().err.split())


def test_a_database_is_read_by_its_only_table_or_by_the_query_that_is_typed(tmp_path):
    path = str(tmp_path / "tickets.db")
    connection = sqlite3.connect(path)
    connection.execute('CREATE TABLE "the tickets" (id TEXT, body TEXT, queue TEXT)')
    rows = [(f"t{row}", f"some words of ticket {row}", "abc"[row % 3] if row < 90 else None) for row in range(300)]
    connection.executemany('INSERT INTO "the tickets" VALUES (?, ?, ?)', rows)
    connection.commit()
    made = propose([path], Choices())
    assert made.content["data"]["files"]["all"]["query"] == 'SELECT * FROM "the tickets"'
    assert [len(each) for each in made.roles.for_seed(0).by_role().values()] == [90, 210]
    connection.execute("CREATE TABLE other (x)")
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match=r"the tables 'other', 'the tickets': write --query 'SELECT \* FROM other'\."):
        propose([path], Choices())
    query = "SELECT * FROM [the tickets] WHERE id <> 't3'"
    made = propose([path], Choices(query=query))
    assert made.content["data"]["files"]["all"]["query"] == query
    assert [len(each) for each in made.roles.for_seed(0).by_role().values()] == [89, 210]
    assert typed("init", ["t.db"], Choices(query="SELECT 1")) == "overproof init t.db --query 'SELECT 1'"
    with pytest.raises(InputError, match=r"^--query is for SQLite and DuckDB files, and .*tickets.csv' holds none"):
        propose([tickets(tmp_path)], Choices(query=query))


def test_whom_rows_come_from_is_said_and_is_no_text(tmp_path):
    def facts(name, value):
        return facts_of(name, pa.chunked_array([[value(row) for row in range(120)]]))

    named = [
        facts("patient", lambda row: f"PT-{row % 40}"),
        facts("pat", lambda row: f"P{row % 60:03d}"),
        facts("subject", lambda row: row % 50),
        facts("Customer Name", lambda row: f"Anna of row {row % 100}"),
        facts("ref", lambda row: f"AX/{row % 45}"),
    ]
    others = [
        facts("subject", lambda row: f"a letter about {row % 90}"),
        facts("ward", lambda row: f"w{row % 5}"),
        facts("age", lambda row: row % 80),
        facts("author", lambda row: f"A-{row}"),
        facts("town", lambda row: "abcdefgh"[row % 8]),
    ]
    assert groups_of([*named, *others]) == named
    assert [each.name for each in texts_of([*named, *others])] == ["subject"]
    rows = [[f"Anna Lee {row}", row * row % 97, ["a", "b", ""][row % 3]] for row in range(90)]
    made = propose([write(tmp_path / "visits.csv", ["customer", "size", "kind"], *rows)], Choices())
    assert made.content["data"]["files"]["all"]["ignore"] == ["customer"]
    assert any(
        "'customer' is different in every row and left out; write --id customer if it is the id, --text customer if"
        in each
        for each in made.unsure
    )
