"""Labels and numbers are read as the file means them, or one sentence says which readings there are."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from overproof.data import Source, from_arrays, read
from overproof.data.readers.csv_stream import open_csv_stream
from overproof.data.remarks import remarks_on, remarks_on_frames, remarks_on_new_gaps
from overproof.errors import InputError


def csv(folder, rows, header="x,y", name="a.csv"):
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


def labels_in(path, **options):
    examples = read(Source(path=path, label="y", **options), role="labelled")
    return examples.class_names, [examples.class_names[i] if i >= 0 else None for i in examples.label.tolist()]


# --- what means "unlabelled"


@pytest.fixture(params=["csv", "jsonl", "parquet", "text in parquet"])
def signs(request, tmp_path):
    """A file whose labels are -1, 0 and 1."""
    values = [-1, 0, 1, 1, 0, -1]
    if request.param == "csv":
        return csv(tmp_path, [f"{i}.5,{value}" for i, value in enumerate(values)])
    if request.param == "jsonl":
        path = tmp_path / "a.jsonl"
        path.write_text("\n".join(json.dumps({"x": i + 0.5, "y": value}) for i, value in enumerate(values)))
        return str(path)
    path = tmp_path / "a.parquet"
    column = pa.array(values) if request.param == "parquet" else pa.array([str(value) for value in values])
    pq.write_table(pa.table({"x": [i + 0.5 for i in range(6)], "y": column}), path)
    return str(path)


def test_minus_one_is_a_class_or_no_label_and_the_source_says_which(signs):
    with pytest.raises(InputError) as caught:
        labels_in(signs)
    message = str(caught.value)
    assert "'-1' in the label column 'y' in 2 of 6 rows" in message
    assert "write `unlabelled: -1`; if it is a class, write `unlabelled: []`" in message
    assert labels_in(signs, unlabelled=-1) == (("0", "1"), [None, "0", "1", "1", "0", None])
    assert labels_in(signs, unlabelled="-1") == labels_in(signs, unlabelled=-1)
    assert labels_in(signs, unlabelled=()) == (("-1", "0", "1"), ["-1", "0", "1", "1", "0", "-1"])
    assert labels_in(signs, classes=("1", "0", "-1"))[1] == ["-1", "0", "1", "1", "0", "-1"]


@pytest.mark.parametrize("number", ["-9", "-99", "-999.0"])
def test_other_numbers_for_no_label_are_not_silently_classes(tmp_path, number):
    path = csv(tmp_path, [f"{i}.5,{value}" for i, value in enumerate(["0", "1", number, "1"])])
    whole = int(float(number))
    with pytest.raises(InputError, match=rf"write `unlabelled: {whole}`; if it is a class, write `unlabelled: \[\]`"):
        labels_in(path)
    assert labels_in(path, unlabelled=whole) == (("0", "1"), ["0", "1", None, "1"])
    assert number in labels_in(path, unlabelled=())[0]


@pytest.mark.parametrize("word", ["?", "NA", "NaN", "null", "None", "unlabeled", "n/a", "#N/A", "missing", "Unknown"])
def test_a_word_that_often_means_no_label_is_not_silently_a_class(tmp_path, word):
    path = csv(tmp_path, [*(f"{i}.5,{word}" for i in range(250)), *(f"{i}.5,{'ab'[i % 2]}" for i in range(150))])
    with pytest.raises(InputError, match=r"in 250 of 400 rows, first in row 0.*unlabelled: \['"):
        labels_in(path)
    names, found = labels_in(path, unlabelled=(word,))
    assert names == ("a", "b")
    assert found[:250] == [None] * 250
    assert found[250:] == ["a", "b"] * 75
    assert set(labels_in(path, unlabelled=())[0]) == {"a", "b", word}


def test_minus_one_is_doubtful_where_labels_are_written_as_floats(tmp_path):
    path = csv(tmp_path, [f"{i}.5,{value}" for i, value in enumerate(["-1.0", "0.0", "1.0"])])
    with pytest.raises(InputError, match=r"has '-1\.0' in the label column.*write `unlabelled: -1`"):
        labels_in(path)
    assert labels_in(path, unlabelled=-1) == (("0.0", "1.0"), [None, "0.0", "1.0"])


# --- how a class is spelled


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["0101", "0203", "0101"], ("0101", "0203")),
        (["1E5", "2E3", "1E5"], ("1E5", "2E3")),
        (["01", "1", "01"], ("01", "1")),
        (["10", "9", "10"], ("9", "10")),
        (["True", "no", "True"], ("True", "no")),
        (["1.0", "2.5", "1.0"], ("1.0", "2.5")),
        (["2024-01-02", "2024-01-01", "2024-01-02"], ("2024-01-01", "2024-01-02")),
    ],
)
def test_classes_in_a_csv_file_are_spelled_as_written(tmp_path, cells, names):
    path = csv(tmp_path, [f"{i}.5,{cell}" for i, cell in enumerate(cells)])
    assert labels_in(path) == (names, cells)


def test_whole_numbers_that_pandas_wrote_beside_empty_cells_are_whole(tmp_path):
    csv(tmp_path, ["0.5,1.0", "1.5,", "2.5,10.0"])
    assert labels_in(str(tmp_path / "a.csv")) == (("1", "10"), ["1", None, "10"])


# --- numbers


NUMBERS = [f"{i}.25" for i in range(300)]


def table_of(path, **options):
    return read(Source(path=path, label="y", **options), role="pool").inputs


@pytest.mark.parametrize("odd", ["?", "1,234", "0,53", "12%", "unknown"])
def test_one_odd_cell_does_not_turn_numbers_into_words(tmp_path, odd):
    cells = [*NUMBERS, f'"{odd}"']
    path = csv(tmp_path, [f"{cell},{'ab'[i % 2]}" for i, cell in enumerate(cells)])
    with pytest.raises(InputError) as caught:
        table_of(path)
    message = str(caught.value)
    assert f"a.csv) has {odd!r} in column 'x', row 300" in message
    assert "300 of 301 are numbers" in message
    assert all(option in message for option in ("missing_words", "decimal", "thousands", "categories: [x]"))
    as_missing = table_of(path, missing_words=(odd,), missing="allow")["x"]
    assert as_missing.type == pa.float64()
    assert as_missing.null_count == 1
    assert pa.types.is_large_string(table_of(path, categories=("x",))["x"].type)


def test_codes_do_not_lose_their_zeros(tmp_path):
    path = tmp_path / "codes.csv"
    rows = [f"{zip_code},0{month},{month}" for month in range(1, 7) for zip_code in ("01067", "10115")]
    path.write_text("zip,month,size\n" + "\n".join(rows) + "\n")
    source = Source(path=str(path))
    examples = read(source, role="pool")
    assert examples.column("zip").to_pylist()[:2] == ["01067", "10115"]
    assert examples.column("month").to_pylist()[:3] == [1, 1, 2], "two digits are numbers, as hours and months are"
    said = remarks_on(source, "pool", examples)
    assert any("the column 'zip' holds codes such as '01067', and is read as categories" in each for each in said)
    assert not remarks_on(Source(path=str(path), categories=("zip",)), "pool", examples)
    nameless = tmp_path / "nameless.csv"
    nameless.write_text("\n".join(rows) + "\n")
    assert read(Source(path=str(nameless), header=False), role="pool").column("c0").to_pylist()[0] == "01067"


def test_a_column_of_texts_or_of_written_amounts_is_no_silent_category(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("price,note,team\n" + "".join(f"${n}.50,order {n} came late,t{n % 3}\n" for n in range(40)))
    source = Source(path=str(path))
    said = remarks_on(source, "pool", read(source, role="pool"))
    assert len(said) == 2
    assert "the column 'price' holds 40 different values in 40 rows, such as '$0.50', and is read as cat" in said[0]
    known = Source(path=str(path), categories=("price", "note"))
    assert not remarks_on(known, "pool", read(known, role="pool"))
    frame = from_arrays(pa.table({"note": [f"order {n}" for n in range(40)]}), origin="pool")
    assert "holds 40 different values" in remarks_on_frames([frame])[0]
    ids = pa.array([(n * 7) % 40 + 1000 for n in range(40)])
    (said,) = remarks_on_frames([from_arrays(pa.table({"customer_id": ids, "paid": [n % 9 for n in range(40)]}))])
    assert "the column 'customer_id' numbers the rows, and is a feature now" in said


def test_gaps_are_counted_by_column(tmp_path):
    (tmp_path / "a.csv").write_text("x,z,city\n" + "1,,a\n2,2,\n" * 4 + "3,3,b\n")
    allowed = Source(path=str(tmp_path / "a.csv"), missing="allow")
    examples = read(allowed, role="pool")
    sentence = (
        "pool (a.csv): a value is missing in column 'z' in 4, 'city' in 4 of 9 rows; the student reads it as missing."
    )
    assert remarks_on(allowed, "pool", examples) == [sentence]
    dropping = Source(path=str(tmp_path / "a.csv"), missing="drop")
    sentence = "pool (a.csv): 8 rows lack an input and are left out (`missing: drop`); 1 is read."
    assert remarks_on(dropping, "pool", read(dropping, role="pool")) == [sentence]
    known = from_arrays(pa.table({"x": [1.0, 2.0], "z": [1.0, 2.0], "city": ["a", "b"]}))
    (said,) = remarks_on_new_gaps({"labelled": known, "pool": known, "test": examples})
    assert said.startswith("pool (a.csv): a value is missing in column 'z' in 4 of 9 test examples and in no labelled")


def test_columns_of_text_are_read_as_one(tmp_path):
    rows = [("Hello", "where"), ("", "only a body"), ("5", "digits"), (" ", "")]
    path = tmp_path / "mails.csv"
    path.write_text("Subject,Body\n" + "".join(f"{one},{other}\n" for one, other in rows))
    source = Source(path=str(path), input=("Subject", "Body"), missing="drop")
    texts = ["Hello\n\nwhere", "only a body", "5\n\ndigits"]
    assert read(source, role="pool").inputs.to_pylist() == texts
    assert (read(source, role="pool").ids == from_arrays(texts).ids).all()
    pq.write_table(
        pa.table({"Subject": [row[0] for row in rows], "Body": [row[1] for row in rows]}), tmp_path / "m.parquet"
    )
    assert (
        read(
            Source(path=str(tmp_path / "m.parquet"), input=("Subject", "Body"), missing="drop"), role="pool"
        ).inputs.to_pylist()
        == texts
    )
    with pytest.raises(InputError, match=r"has no text in columns 'Subject', 'Body', row 3"):
        read(Source(path=str(path), input=("Subject", "Body")), role="pool")
    with pytest.raises(InputError, match=r"no column 'Bodi' for `input` \(nearest: 'Body'\)"):
        read(Source(path=str(path), input=("Subject", "Bodi")), role="pool")
    with pytest.raises(InputError, match="input is a list, which is read as one text"):
        Source(path="x.csv", kind="image", input=("a", "b"))
    assert Source(path="x.csv", input=("a",)) == Source(path="x.csv", input="a")


def test_a_column_of_words_with_some_numbers_stays_words(tmp_path):
    path = csv(tmp_path, [f"{cell},{'ab'[i % 2]}" for i, cell in enumerate(["red", "blue", "3", "4", "5"])])
    assert table_of(path)["x"].to_pylist() == ["red", "blue", "3", "4", "5"]


def test_numbers_in_another_notation(tmp_path):
    path = csv(tmp_path, ['"1.234,5",a', '"2.000",b', '"0,25",a'])
    found = table_of(path, decimal=",", thousands=".")["x"]
    assert found.to_pylist() == [1234.5, 2000.0, 0.25]
    # Every cell alone would also be a number in the other notation.
    only = csv(tmp_path, ["1.234,a", "2.000,b"], name="b.csv")
    assert table_of(only)["x"].to_pylist() == [1.234, 2.0]
    assert table_of(only, decimal=",", thousands=".")["x"].to_pylist() == [1234.0, 2000.0]
    with pytest.raises(InputError, match="must differ"):
        Source(path=only, decimal=",", thousands=",")


# --- rows and columns


def test_an_empty_line_of_a_one_column_file_is_a_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text\ngood\n\nbad\nfine\n")
    kept = read(Source(path=str(path), input="text", kind="text", missing="allow"), role="pool")
    assert kept.inputs.to_pylist() == ["good", "", "bad", "fine"]
    streamed = open_csv_stream(path, "a.csv", {"text": pa.string()}).tables(["text"])
    assert pa.concat_tables(streamed)["text"].to_pylist() == ["good", None, "bad", "fine"]
    with pytest.raises(InputError, match="no text in column 'text', row 1"):
        read(Source(path=str(path), input="text", kind="text"), role="pool")


def test_an_index_of_pandas_is_no_feature_but_can_be_named(tmp_path):
    def saved_by_pandas(index):
        """As `DataFrame.to_parquet` and `to_feather` write it: the index is a column that the metadata names."""
        table = pa.table({"x": [0.5, 1.5, 2.5], "y": ["b", "a", "b"], index: [11, 10, 12]})
        return table.replace_schema_metadata({"pandas": json.dumps({"index_columns": [index], "columns": []})})

    named = str(tmp_path / "named.parquet")
    pq.write_table(saved_by_pandas("patient"), named)
    assert table_of(named).column_names == ["x"]
    assert read(Source(path=named, label="y", id="patient"), role="pool").keys.to_pylist() == ["11", "10", "12"]
    for index in ("patient", "__index_level_0__"):
        pa.feather.write_feather(saved_by_pandas(index), tmp_path / "a.feather")
        assert table_of(str(tmp_path / "a.feather")).column_names == ["x"]
    counted = saved_by_pandas("patient").replace_schema_metadata(
        {"pandas": json.dumps({"index_columns": [{"kind": "range", "start": 0, "stop": 3, "step": 1}]})}
    )
    pq.write_table(counted, named)
    assert table_of(named).column_names == ["x", "patient"]


def test_labels_given_in_python_are_read_as_those_of_files():
    assert from_arrays(["x", "y", "z"], ["b", "", None]).label.tolist() == [0, -1, -1]
    assert from_arrays(["x", "y"], ["b", ""], class_names=("a", "b")).label.tolist() == [1, -1]
    for word in ("?", "NA", "-1", "None"):
        with pytest.raises(InputError, match=r"has the label '.*' in row 1 .*give None; if it is a class, list it"):
            from_arrays(["x", "y"], ["b", word])
        assert from_arrays(["x", "y"], ["b", word], class_names=(word, "b")).label.tolist() == [1, 0]


@pytest.mark.parametrize("share", [2, 5, 8])
def test_words_among_numbers_are_named_where_they_are_too_many_for_an_error(tmp_path, share):
    """One cell in eight is a `?`: no column of numbers with an error in it, but hardly categories."""
    cells = ["?" if i % share == 1 else f"{i % 77}.5" for i in range(304)]
    path = tmp_path / "a.csv"
    path.write_text("x,n,y\n" + "".join(f"{cell},{i % 5},{'ab'[i % 2]}\n" for i, cell in enumerate(cells)))
    source = Source(path=str(path), label="y")
    (said,) = remarks_on(source, "pool", read(source, role="pool"))
    num = sum(cell != "?" for cell in cells)
    assert f"the column 'x' holds numbers in {num} of 304 rows, and '?' in the others, so that it is read as" in said
    assert "`missing_words: ['?']` with `missing: allow` or `drop`" in said
    for each in (replace(source, missing_words=("?",), missing="allow"), replace(source, categories=("x",))):
        assert not any("holds numbers in" in words for words in remarks_on(each, "pool", read(each, role="pool")))


def lines_of(path, cells):
    rows = [
        {"x": cell, "n": [{"ü": "\u20ac"}, {"ü": "\\"}], "y": "ab"[i % 2], "id": f"{i:03}"}
        for i, cell in enumerate(cells)
    ]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return Source(path=str(path), label="y", id="id", ignore=("n",))


def list_of(path, indent):
    """A file of lines as one list, each object on a line or on several."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=False), encoding="utf-8")


@pytest.mark.parametrize("form", ["lines", "list", "indented list"])
@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("place", [0, 17])
def test_an_odd_cell_of_json_is_refused_as_one_of_csv_is(tmp_path, place, as_text, form):
    cells = [str(i + 0.5) if as_text else i + 0.5 for i in range(40)]
    cells[place] = "?"
    source = lines_of(tmp_path / "a.jsonl", cells)
    if form != "lines":
        list_of(tmp_path / "a.jsonl", 1 if form == "indented list" else None)
    text = "x,y,id\n" + "".join(f"{cell},{'ab'[i % 2]},{i:03}\n" for i, cell in enumerate(cells))
    (tmp_path / "a.csv").write_text(text)
    sentences = []
    for each in (source, replace(source, path=str(tmp_path / "a.csv"), ignore=())):
        with pytest.raises(InputError) as refused:
            read(each, role="pool")
        sentences.append(str(refused.value))
    assert sentences[0] == sentences[1].replace("a.csv", "a.jsonl")
    assert f"has '?' in column 'x', row {place} (counting from 0), where 39 of 40 are numbers" in sentences[0]
    # Each option that the sentence names reads the file.
    found = read(replace(source, missing_words=("?",), missing="allow"), role="pool").inputs["x"]
    assert (found.null_count, found[1].as_py(), found[39].as_py()) == (1, 1.5, 39.5)
    assert len(read(replace(source, missing_words=("?",), missing="drop"), role="pool")) == 39
    words = read(replace(source, categories=("x",)), role="pool").inputs["x"]
    assert (words[place].as_py(), words[1].as_py()) == ("?", "1.5")


@pytest.mark.parametrize("cell", [True, [1.5], {"u": 2}])
@pytest.mark.parametrize("form", ["lines", "list"])
def test_a_value_of_another_kind_among_numbers_of_json_is_named_as_it_is_written(tmp_path, cell, form):
    source = lines_of(tmp_path / "a.jsonl", [*(i + 0.5 for i in range(39)), cell])
    if form == "list":
        list_of(tmp_path / "a.jsonl", None)
    word = json.dumps(cell, separators=(",", ":"))
    with pytest.raises(InputError) as refused:
        read(source, role="pool")
    assert f"has {word!r} in column 'x', row 39 (counting from 0), where 39 of 40 are numbers" in str(refused.value)
    found = read(replace(source, missing_words=(word,), missing="allow"), role="pool").inputs["x"]
    assert (found.null_count, found[38].as_py()) == (1, 38.5)


def test_a_list_of_objects_says_what_lines_of_them_say(tmp_path):
    """Keys that occur twice, half symbols, and numbers as they are written."""
    for rows, options, words in [
        (['{"x": 1, "x": 5, "y": "a"}', '{"x": 2, "y": "b"}'], {}, r"column \(x\) was specified twice\), row 0"),
        (['{"x": 1, "y": "a"}', '{"x": 2, "y": "\\ud83d"}'], {}, r"surrogate pair in string is invalid\), row 1"),
        (['{"x": 1e999, "y": "a"}'], {}, r"Number too big .*row 0"),
        (['{"x": 1.50, "y": "a"}', '{"x": 2E3, "y": "b"}', '{"x": "u", "y": "b"}'], {"categories": ("x",)}, ""),
    ]:
        said = []
        for text in ("\n".join(rows), "[" + " ,\n ".join(rows) + "]\n"):
            (tmp_path / "a.json").write_text(text)
            source = Source(path=str(tmp_path / "a.json"), label="y", **options)
            if words:
                with pytest.raises(InputError, match=words) as refused:
                    read(source, role="pool")
                said.append(str(refused.value))
            else:
                said.append(read(source, role="pool").inputs["x"].to_pylist())
        assert said[0] == said[1]
    assert said[0] == ["1.50", "2E3", "u"]


def test_numbers_of_json_lines_are_kept_as_they_are_written(tmp_path):
    source = lines_of(tmp_path / "a.jsonl", [1, "0,53", *range(2, 40)])
    found = read(replace(source, decimal=","), role="pool").inputs["x"]
    assert found.to_pylist() == [1, 0.53, *range(2, 40)]
    (tmp_path / "b.jsonl").write_text("".join(f'{{"x": {cell}, "y": "a"}}\n' for cell in ["1.50", "2E3", '"u"', "7"]))
    kept = read(Source(path=str(tmp_path / "b.jsonl"), label="y", categories=("x",)), role="pool").inputs["x"]
    assert kept.to_pylist() == ["1.50", "2E3", "u", "7"]
    # Text of numbers alone is text, a code keeps its zero, and a mixed id is refused.
    assert read(lines_of(tmp_path / "c.jsonl", ["1.5", "2.5"] * 20), role="pool").inputs["x"][0].as_py() == "1.5"
    mixed = lines_of(tmp_path / "d.jsonl", [1, "two"] * 20)
    for each in (mixed, replace(mixed, id="x", missing="allow"), replace(mixed, kind="text", input="x")):
        with pytest.raises(InputError, match=r"column \(x\) changed from number to string\), row 1"):
            read(each, role="pool")
