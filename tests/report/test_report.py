"""The report: complete sections, escaped user content, and no request to the network."""

import importlib.util
import json
import re
import shutil
import subprocess
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import torch

from overproof.api import run
from overproof.commands.main import main
from overproof.data import from_arrays
from overproof.errors import CONTROL, InputError
from overproof.evaluation.verdict import Summary
from overproof.report import Section, comparison_page, page, verdict_sentence, write_report
from overproof.report.charts import confusion, curves, differences
from overproof.report.compare_decision import decisions_of
from overproof.report.decision import decision_of
from overproof.report.example_html import example_html
from overproof.runs.costs import costs_of
from overproof.runs.experiment import experiment_from
from overproof.runs.folder.result_file import read_result
from overproof.runs.folder.run_log import RunLog
from overproof.runs.pipeline import open_run

CLASSES = ["bread & butter", "<b>tea</b>", "café 茶 $x_1$"]
WORDS = [["loaf", "crust", "flour"], ["leaf", "kettle", "steep"], ["bean", "roast", "cup"]]
EVIL = "<script>document.title='stolen'</script><img src=http://example.invalid/x.png onerror=document.title='stolen'>"
SECTIONS = ["results", "findings", "learning", "weights", "errors", "reliability"]
SECTIONS += ["disagreements", "least-trusted", "costs", "reproduce", "citations"]


def reviews(path: Path, num: int = 260) -> tuple[Path, Path]:
    """Texts of three classes, some with a script in them, and teacher answers of which a third are wrong."""
    draw = np.random.default_rng(0)
    label = draw.integers(3, size=num)
    named = np.where(draw.random(num) < 0.33, (label + 1) % 3, label)
    texts = [
        f"{EVIL if i % 7 == 0 else ''} {draw.choice(WORDS[y])} and {draw.choice(WORDS[y])} number {i}"
        for i, y in enumerate(label)
    ]
    keys = [f"row-{i}" for i in range(num)]
    table = pa.table({"text": texts, "class": [CLASSES[y] for y in label], "key": keys})
    pyarrow.csv.write_csv(table, path / "texts.csv")
    sure = 0.5 + 0.45 * draw.random(num)
    probs = {name: np.where(named == i, sure, (1 - sure) / 2) for i, name in enumerate(CLASSES)}
    pyarrow.csv.write_csv(pa.table({"id": keys, **probs}), path / "answers.csv")
    return path / "texts.csv", path / "answers.csv"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run on texts of which some are scripts, with its report."""
    home = tmp_path_factory.mktemp("report")
    texts, answers = reviews(home)
    content = {
        "name": "breakfast <i>and</i> more",
        "data": {
            "files": {"all": {"path": str(texts), "input": "text", "label": "class", "id": "key"}},
            "rows": {"labelled": 60, "pool": 120, "test": 80},
        },
        "teacher": {"answers": [str(answers)]},
        "student": {"name": "ngram", "options": {"buckets": 1024}},
        "train": {"epochs": 4, "batch_size": 32},
        "methods": ["wd", "slam"],
        "seeds": [0, 1],
    }
    experiment = experiment_from(content)
    run(experiment, home / "run", report=True)
    return home / "run"


@pytest.fixture(scope="module")
def text(finished):
    return (finished / "report.html").read_text()


class Elements(HTMLParser):
    """Every opening tag with its attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


# --- content


def test_a_report_has_every_section_and_the_verdict_on_top(text, finished):
    found = read_result(finished)
    assert re.findall(r'<section id="([^"]+)"', text) == SECTIONS
    verdict = re.search(r'<p class="verdict">(.*?)</p>', text)[1]
    assert verdict.replace("\N{NO-BREAK SPACE}", " ") == decision_of(found).deploy
    assert verdict_sentence(found.summary) in text.replace("\N{NO-BREAK SPACE}", " ")
    assert text.index('class="verdict"') < text.index('id="results"')
    for name in SECTIONS:
        assert text.count(f'href="#{name}"') == 2, "one table of contents beside the page, and one above it"
    for finding in found.findings:
        assert finding.split(",")[0].split("'")[0] in text
    assert "kontonis2023slam" in text
    assert "overproof run " in text
    assert f"{120 + 60 + 80} per seed" in text


def test_a_report_is_one_file_of_modest_size_without_script_or_address(text):
    assert len(text.encode()) < 1_000_000
    elements = Elements(text).found
    assert not [tag for tag, _ in elements if tag in ("script", "link", "iframe", "object", "embed", "base", "form")]
    attributes = [(name, value or "") for _, attrs in elements for name, value in attrs.items()]
    assert not [name for name, _ in attributes if name.startswith("on")]
    addresses = [value for name, value in attributes if name in ("src", "href", "xlink:href", "srcset")]
    assert addresses
    assert not [value for value in addresses if not value.startswith(("#", "data:image/png;base64,"))]
    policy = next(attrs["content"] for tag, attrs in elements if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", text)


def test_user_content_is_shown_as_text(text):
    assert "&lt;script&gt;" in text
    assert "&lt;b&gt;tea&lt;/b&gt;" in text
    assert "breakfast &lt;i&gt;and&lt;/i&gt; more" in text
    assert "<b>tea" not in text
    assert "$x_1$" in text, "no formula is set from a class name"


def test_every_image_has_a_text_alternative_and_ids_are_unique(text):
    elements = Elements(text).found
    pictures = [attrs for tag, attrs in elements if tag == "svg"]
    assert len(pictures) >= 10
    assert all(attrs["role"] == "img" and len(attrs["aria-label"]) > 20 for attrs in pictures)
    assert all(attrs.get("alt") for tag, attrs in elements if tag == "img")
    ids = [attrs["id"] for _, attrs in elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = [attrs["href"][1:] for tag, attrs in elements if tag == "a"]
    assert set(targets) <= set(ids)
    assert not re.search(r"#0000[0f]", text), "every colour is one of the page's own"


def test_the_examples_are_those_of_the_run(text, finished):
    found = read_result(finished)
    facts = next(each for each in found.students if each["method"] == "wd" and each["seed"] == 0)
    assert facts["doubt"]["by"] == "weight"
    values = [each["value"] for each in facts["doubt"]["least"]]
    assert values == sorted(values)
    assert values[-1] < 1, "the least, of weights of which the largest is one"
    assert f"{values[0]:.3g}" in text[text.index('id="least-trusted"') : text.index('id="costs"')]
    tally = next(each for each in found.tallies if each.method == "wd" and each.seed == 0)
    assert all(each["teacher"] != each["student"] for each in tally.disagreements)


def test_a_report_is_the_same_twice_and_the_same_for_the_same_run(finished, tmp_path, text):
    experiment = open_run(finished).experiment
    (tmp_path / "experiment.yaml").write_text("name: x")
    with pytest.raises(SystemExit):
        main(["report", str(finished), "--out", str(tmp_path / "experiment.yaml")])
    assert (tmp_path / "experiment.yaml").read_text() == "name: x"
    assert main(["report", str(finished), "--out", str(tmp_path / "again.html")]) is None
    assert (tmp_path / "again.html").read_text() == text
    run(experiment, tmp_path / "other", report=True)
    other = (tmp_path / "other/report.html").read_text().replace(str(tmp_path / "other"), str(finished))

    def timeless(page_text: str) -> str:
        page_text = re.sub(r"[\d,]+ examples a second", "", page_text)
        return re.sub(r'<section id="costs".*?</section>', "", page_text, flags=re.DOTALL)

    assert timeless(other) == timeless(text)


def test_costs_are_noted_and_a_line_cut_short_is_left_out(finished, tmp_path):
    costs = costs_of(finished)
    assert {work for work, _, _ in costs} == {"ask", "train", "answer"}
    assert costs["answer", "slam", 1].num_examples == 80
    lines = (finished / "costs.jsonl").read_text()
    (tmp_path / "costs.jsonl").write_text(lines + '{"work": "train", "row": "sl')
    assert costs_of(tmp_path) == costs


def test_a_run_that_is_not_finished_has_no_report(finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run/result.json").unlink()
    (tmp_path / "run/report.html").unlink()
    with pytest.raises(SystemExit) as stopped:
        main(["report", str(tmp_path / "run")])
    assert stopped.value.code == 2
    assert "has not come to its end" in capsys.readouterr().err
    assert not (tmp_path / "run/report.html").exists()
    (tmp_path / "run/result.json").write_text('{"name": 1')
    with pytest.raises(InputError, match=r"result.json has 10 bytes, and manifest.json beside it lists"):
        write_report(open_run(tmp_path / "run"))


# --- parts


def summary(
    method: str, role: str, mean: float, difference=None, ends=(None, None), verdict=None, **changes
) -> Summary:
    low, high = ends
    return Summary(
        method=method, role=role, metric="accuracy", level=0.95, num_seeds=3, mean=mean, low=None, high=None,
        baseline="hard", num_pairs=3, difference=difference, difference_low=low, difference_high=high,
        recovered=None, recovered_low=None, recovered_high=None, verdict=verdict, interval="3 seeds", **changes,
    )  # fmt: skip


HARD = summary("hard", "conventional", 0.70, 0.0)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([HARD, summary("slam", "method", 0.75, 0.05, (0.02, 0.08), "BEATS")],
         "slam BEATS hard: 75.0 % against 70.0 % (+5.0 points, 95 % interval +2.0 to +8.0)."),
        ([HARD, summary("slam", "method", 0.69, -0.01, (-0.03, 0.004), "DOES NOT BEAT")], "distillation is enough"),
        ([HARD, summary("slam", "method", 0.71, 0.01, (-0.03, 0.05), "INCONCLUSIVE")], "3 seeds cannot tell"),
        ([HARD, summary("labelled_only", "reference", 0.8, 0.1, (0.05, 0.15), "BEATS"),
          summary("slam", "method", 0.75, 0.05, (0.02, 0.08), "BEATS")], "Distillation does not help here"),
        ([HARD, summary("labelled_only", "reference", 0.73, 0.03, (0.01, 0.05), "BEATS"),
          summary("slam", "method", 0.75, 0.05, (0.02, 0.08), "BEATS")], "the labels alone reach 73.0 %"),
        ([HARD], "The table has no method"),
        ([], "nothing to compare"),
    ],
)  # fmt: skip
def test_the_verdict_in_a_sentence(rows, words):
    assert words in verdict_sentence(rows)


def test_of_several_methods_the_best_is_named():
    rows = [HARD, *(summary(f"m{i}", "method", 0.7 + i / 100, i / 100, (0.0, 0.1), "BEATS") for i in (1, 3, 2))]
    assert verdict_sentence(rows).startswith("m3 BEATS hard")
    lower = [replace(row, metric="log_loss") for row in rows]
    assert verdict_sentence(lower).startswith("m1 BEATS hard: 0.710 against 0.700")


def test_a_page_takes_any_sections():
    from markupsafe import Markup

    section = Section(name="one", title="One & only", body=Markup("<p>body</p>"))
    made = page(title="<x>", kind="Comparison", verdict="a < b", sections=[section])
    assert "<h1>&lt;x&gt;</h1>" in made
    assert "a &lt; b" in made
    assert "<p>body</p>" in made
    assert "One &amp; only" in made


def test_control_characters_are_shown_and_not_passed_on(tmp_path):
    """A page that is printed in a terminal must not steer it; the log must not either."""
    odd = "red\x1b[31m\x9b\u202e"
    chart = confusion([[8, 2], [0, 10]], [odd, "blue"], odd)
    section = Section(name="one", title=odd, body=chart)
    made = page(title=odd, kind="Run", verdict=odd, sections=[section], facts=[odd])
    assert not CONTROL.search(made)
    assert made.count("red\\x1b[31m\\x9b\\u202e") >= 4
    RunLog(folder=tmp_path).write("classes", odd)
    assert "classes: red\\x1b[31m\\x9b\\u202e\n" in (tmp_path / "log.txt").read_text()


def test_examples_of_every_kind_are_shown():
    picture = example_html(from_arrays(np.full((1, 9, 7), 200, np.uint8)), 0)
    assert 'src="data:image/png;base64,' in picture
    colour = example_html(from_arrays(torch.randint(256, (2, 3, 400, 300), dtype=torch.uint8)), 1)
    assert len(colour) < 120_000
    row = example_html(from_arrays(np.arange(40.0).reshape(2, 20)), 1)
    assert "<dt>f0</dt><dd>20</dd>" in row
    assert "and 8 more columns" in row
    assert "…" in example_html(from_arrays([EVIL * 20]), 0)
    assert "<script" not in example_html(from_arrays([EVIL * 20]), 0)


def test_charts_have_text_alternatives():
    rows = [HARD, summary("slam", "method", 0.75, 0.05, (0.02, 0.08), "BEATS")]
    assert "slam +5.0 (+2.0 to +8.0)" in differences(rows)
    assert differences([HARD]) is None
    drawn = curves({"slam": [[0.5, 0.25], [0.7, 0.35, 0.3]], "hard": [[None]]}, "loss")
    assert "slam from 0.6 to 0.3" in drawn
    assert "hard" not in drawn
    assert curves({"hard": [[None]]}, "loss") is None
    assert curves({"hard": [[0.5, 0.25]]}, "loss", names=[]) is not None, "without an estimate there is no table"
    matrix = confusion([[8, 2], [0, 10]], ["cat", "dog"], "teacher")
    assert "accuracy 90.0 %; its largest confusion is cat as dog (20 %)" in matrix
    assert ">80<" in matrix
    assert confusion([[8, 2], [0, 10]], ["cat", "dog"], "teacher") == matrix


# --- a comparison


def comparison(*verdicts: str) -> dict:
    """The content of a compare.json: hard and slam at increasing numbers of labels."""
    cells = [{"folder": f"labels-{100 * n}", "student": "mlp", "labels": 100 * n} for n in range(1, len(verdicts) + 1)]
    rows, mean = [], [0.7 + 0.02 * n for n in range(len(verdicts))]
    for cell, verdict, at in zip(cells, verdicts, mean, strict=True):
        gain = {"BEATS": 0.05, "INCONCLUSIVE": 0.01, "DOES NOT BEAT": -0.02}[verdict]
        judged = summary("<b>slam</b>", "method", at + gain, gain, (gain - 0.01, gain + 0.01), verdict)
        for each, p_value in ((replace(HARD, mean=at), None), (judged, 0.0123)):
            rows.append({**cell, **asdict(each), "p_holm": p_value, "verdict_holm": each.verdict})
    points = {"labels": [cell["labels"] for cell in cells], "mean": mean, "low": [None] * len(cells)}
    line = {"student": "mlp", "role": "method", "metric": "accuracy", **points, "high": [0.9] * len(cells)}
    lines = [{**line, "method": method} for method in ("hard", "<b>slam</b>")]
    more = {"cells": cells, "rows": rows, "curves": lines, "findings": ["a < b"]}
    return {"format": 1, "name": "by labels", "seeds": [0, 1], **more}


def test_a_verdict_that_the_correction_takes_back_deploys_nothing():
    content = comparison("BEATS", "BEATS")
    assert [run for _, run in decisions_of(content)] == ["labels-200"]
    assert decisions_of(content)[0][0].startswith("With 200 labels deploy <b>slam</b>: accuracy 77.0 %")
    assert "+5.0 points beside hard, the best conventional row" in decisions_of(content)[0][0]
    content["rows"][-1]["verdict_holm"] = "INCONCLUSIVE"
    assert decisions_of(content)[0][0].startswith("With 200 labels deploy hard: accuracy 72.0 %")


def test_a_comparison_is_a_page_of_the_same_sections():
    made = comparison_page(comparison("BEATS", "BEATS", "INCONCLUSIVE"))
    assert re.findall(r'<section id="([^"]+)"', made) == ["budgets", "findings", "run-0", "run-1", "run-2"]
    verdict = re.search(r'<p class="verdict">(.*?)</p>', made)[1]
    assert verdict.replace("\N{NO-BREAK SPACE}", " ").startswith(
        "With 300 labels deploy hard: accuracy 74.0 % on the test, mean of 3 seeds, and no method is better beyond "
        "doubt. With 200 labels it would be &lt;b&gt;slam&lt;/b&gt;, accuracy 77.0 % (+3.0 points). With 100 labels it "
        "would be &lt;b&gt;slam&lt;/b&gt;, accuracy 75.0 % (+1.0 points). "
    )
    assert "&lt;b&gt;slam&lt;/b&gt;: BEATS the best conventional row with 100 and 200 labels; " in verdict
    assert verdict.endswith("; INCONCLUSIVE with 300 labels.")
    assert made.count("0.012") == 3
    assert "accuracy by labelled examples, 100 to 300" in made
    assert "<b>slam" not in made
    ids = [attrs["id"] for _, attrs in Elements(made).found if "id" in attrs]
    assert len(ids) == len(set(ids))
    alone = comparison_page(comparison("DOES NOT BEAT"))
    assert "budgets" not in re.findall(r'<section id="([^"]+)"', alone)
    assert "DOES NOT BEAT the best conventional row with 100 labels" in alone


def test_the_page_of_a_comparison_is_written_by_the_same_command(tmp_path, capsys):
    (tmp_path / "compare.yaml").write_text("")
    with pytest.raises(SystemExit) as stopped:
        main(["report", str(tmp_path)])
    assert stopped.value.code == 2
    assert "has no readable compare.json: the comparison is not finished" in capsys.readouterr().err
    (tmp_path / "compare.json").write_text(json.dumps(comparison("BEATS", "BEATS")))
    main(["report", str(tmp_path), "--json"])
    page = tmp_path / "report.html"
    assert json.loads(capsys.readouterr().out) == {"file": str(page), "num_bytes": page.stat().st_size}
    assert "by labels" in (tmp_path / "report.html").read_text()


# --- in a browser

CHROMIUM = shutil.which("chromium")
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--virtual-time-budget=20000"]  # fmt: skip
DARK, LIGHT = (f"--blink-settings=preferredColorScheme={number}" for number in (0, 1))
RUNNER = """
axe.run(document, {resultTypes: ["violations"]}).then(found => {
  document.body.innerHTML = "<pre id=found></pre>";
  document.getElementById("found").textContent = JSON.stringify(found.violations);
});
"""


def browsed(file: Path, home: Path, *more: str) -> tuple[str, list[str], list[str]]:
    """The final page in a browser, its console messages, and its network requests."""
    log = home / "net.json"
    words = [CHROMIUM, *FLAGS, f"--user-data-dir={home / 'profile'}", f"--log-net-log={log}", "--enable-logging=stderr"]
    done = subprocess.run([*words, *more, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    requests = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    # The browser's own requests have no origin.
    urls = {each["url"] for each in requests if each.get("initiator", "not an origin") != "not an origin"}
    return done.stdout, console, sorted(url for url in urls if not url.startswith(("file:", "data:")))


@in_browser
def test_the_console_is_empty_and_nothing_is_requested(finished, tmp_path):
    shown_page, console, requested = browsed(finished / "report.html", tmp_path)
    assert "overproof" in shown_page
    assert "<title>stolen" not in shown_page
    assert console == []
    assert requested == []


@in_browser
def test_a_page_with_an_address_is_detected(finished, tmp_path, text):
    """The check is sensitive: an address in the page is blocked by the policy, and requested without the policy."""
    reaching = text.replace("</footer>", '<img src="http://example.invalid/x.png" alt="x"></footer>')
    (tmp_path / "blocked.html").write_text(reaching)
    _, console, requested = browsed(tmp_path / "blocked.html", tmp_path)
    assert console
    assert requested == []
    (tmp_path / "requests.html").write_text(reaching.replace("Content-Security-Policy", "X-Nothing"))
    assert browsed(tmp_path / "requests.html", tmp_path)[2] == ["http://example.invalid/x.png"]


@in_browser
@pytest.mark.parametrize(("width", "scheme"), [(390, DARK), (1280, LIGHT)])
def test_axe_finds_no_serious_violation(finished, tmp_path, text, width, scheme):
    found = violations(text, tmp_path, f"--window-size={width},2000", scheme)
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []


@in_browser
def test_axe_detects_violations(finished, tmp_path, text):
    spoilt = text.replace("--soft: #535b68", "--soft: #b9bdc4").replace('<html lang="en">', "<html>")
    found = {each["id"] for each in violations(spoilt, tmp_path, "--window-size=1280,2000", LIGHT)}
    assert {"color-contrast", "html-has-lang"} <= found


def violations(text: str, home: Path, *more: str) -> list[dict]:
    """The violations that axe-core finds on a page, in a copy without the policy."""
    spec = importlib.util.find_spec("axe_playwright_python")
    assert spec is not None, "axe-core comes with the wheel axe-playwright-python: see the Makefile"
    axe = (Path(spec.submodule_search_locations[0]) / "axe.min.js").read_text()
    opened = text.replace("Content-Security-Policy", "X-Nothing").replace("<details", "<details open")
    (home / "axe.html").write_text(opened.replace("</body>", f"<script>{axe}</script><script>{RUNNER}</script></body>"))
    shown_page = browsed(home / "axe.html", home, *more)[0]
    found = re.search(r'<pre id="found">(.*?)</pre>', shown_page, flags=re.DOTALL)
    assert found, "axe did not finish"
    return json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
