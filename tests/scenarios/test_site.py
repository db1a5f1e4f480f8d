"""The documentation site, built and opened in a browser: search works, and no page cuts its code off."""

import functools
import html
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
CHROMIUM = shutil.which("chromium")
WIDTHS = (390, 1280)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")]

MEASURE = """<body><script>
const found = {};
const open = (page, width) => new Promise(done => {
  const frame = document.createElement("iframe");
  frame.style.cssText = `border: 0; height: 900px; width: ${width}px`;
  frame.src = page;
  frame.onload = () => setTimeout(() => {
    const inside = frame.contentDocument, root = inside.documentElement;
    const cut = [...inside.querySelectorAll("pre, pre > code")].filter(each => each.scrollWidth > each.clientWidth + 1);
    found[`${page} ${width}`] = [cut.length, root.scrollWidth > frame.contentWindow.innerWidth + 1];
    frame.remove();
    done();
  }, 100);
  document.body.append(frame);
});
(async () => {
  for (const page of PAGES) for (const width of WIDTHS) await open(page, width);
  const result = document.createElement("pre");
  result.id = "found";
  result.textContent = JSON.stringify(found);
  document.body.append(result);
})();
</script></body>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})
    return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files that logs nothing."""

    def log_message(self, *_) -> None: ...


@pytest.fixture
def address(site) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def opened(address: str, milliseconds: int) -> str:
    """The page as the browser holds it after so much of its time."""
    words = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,900", "--dump-dom"]
    command = [*words, f"--virtual-time-budget={milliseconds}", address]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout


def test_no_page_cuts_its_code_off(site, address):
    pages = sorted(str(path.relative_to(site)) for path in site.rglob("*.html") if path.name != "404.html")
    script = MEASURE.replace("PAGES", json.dumps(pages)).replace("WIDTHS", json.dumps(WIDTHS))
    (site / "measure.html").write_text(script)
    page = opened(f"{address}/measure.html", 200_000)
    (site / "measure.html").unlink()
    found = json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', page, re.DOTALL)[1]))
    assert len(found) == len(pages) * len(WIDTHS)
    assert {page: each for page, each in found.items() if each != [0, False]} == {}


def test_search_works_in_pages_opened_from_the_file_system(site):
    page = opened(f"{(site / 'situations/guarantee.html').as_uri()}?q=cross-fitting", 20_000)
    assert re.search(r"\d+ matching documents", page)


def test_nothing_is_loaded_from_the_network(site):
    loaded = [
        f"{path.relative_to(site)}: {found}"
        for path in site.rglob("*.html")
        for found in re.findall(
            r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="(?:https?:)?//[^"]*', path.read_text()
        )
    ]
    assert loaded == []
