"""The server's key leaves in a header alone: it is in no file, no message and no other address."""

import pytest

from overproof.commands.main import main
from overproof.errors import InputError
from overproof.progress import Silent
from overproof.teachers.endpoint.options import endpoint_options

KEY = "sk-Geheim-123"


def everything(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_key_that_the_server_repeats_is_in_no_file_and_no_message(server, job, monkeypatch, capsys):
    monkeypatch.setenv("MY_KEY", KEY + "\n")

    def repeats(number, body, handler):
        said = handler.headers["Authorization"]
        if number == 3:
            return 400, {"error": {"message": f"bad {said}"}}, {}
        return (500, f"oops {said}".encode(), {}) if number == 4 else None

    server.fault = repeats
    server.reply = lambda body: {"content": f"billing {KEY}", "note": [KEY, {KEY: 1}]}
    server.model = f"m-{KEY}"
    made = job(4, key_env="MY_KEY", concurrency=1, retries=0)
    asked, told, summary = made.run(Silent())
    assert all(each["Authorization"] == f"Bearer {KEY}" for each in server.headers)
    content = everything(made.folder)
    assert b"[key]" in content
    assert KEY.encode() not in content
    assert KEY not in f"{asked}{told}{summary}"
    server.fault = lambda number, body, handler: (401, {"error": {"message": f"wrong {KEY}"}}, {})
    with pytest.raises(InputError, match=r"wrong \[key\]\); is the key in MY_KEY the right one") as raised:
        job(9, key_env="MY_KEY", model="other").run(Silent())
    assert KEY not in str(raised.value)
    assert KEY.encode() not in everything(made.folder)


def test_without_the_name_of_a_variable_no_key_is_sent(server, job, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    job(1).run(Silent())
    assert "Authorization" not in server.headers[0]


def test_proxies_and_passwords_of_the_environment_are_not_used(server, job, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login me password {KEY}")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    job(1).run(Silent())
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": f"http://me:{KEY}@127.0.0.1/v1"}, "has a name or a password in it"),
        ({"url": f"http://127.0.0.1/v1?key={KEY}"}, "has a part after"),
        ({"key_env": KEY}, "what was given is none"),
        ({"key_env": "gsk_lower"}, "what was given is none"),
        ({"key_env": ["OPENAI", KEY]}, "key_env"),
        ({"url": [KEY]}, "url"),
        ({"parameters": KEY}, "parameters"),
    ],
)
def test_a_key_in_the_wrong_place_is_refused_and_not_repeated(options, said):
    with pytest.raises(InputError, match=said) as raised:
        endpoint_options({"url": "http://a", "model": "m", "prompt": "p", **options})
    assert KEY not in str(raised.value)
    assert "gsk" not in str(raised.value)


def test_a_variable_that_is_not_set_or_holds_no_key_is_refused(job, monkeypatch):
    with pytest.raises(InputError, match="NO_SUCH_KEY, which is not set"):
        job(1, key_env="NO_SUCH_KEY").run(Silent())
    monkeypatch.setenv("MY_KEY", f"{KEY} {KEY}")
    with pytest.raises(InputError, match="MY_KEY holds no key") as raised:
        job(1, key_env="MY_KEY").run(Silent())
    assert KEY not in str(raised.value)


def test_the_command_neither_prints_nor_writes_the_key(server, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("MY_KEY", KEY)
    server.fault = lambda number, body, handler: error_with_key(handler) if number == 2 else None
    (tmp_path / "rows.csv").write_text("id,text\n1,#a\n2,#b\n3,#a b\n")
    (tmp_path / "prompt.txt").write_text("{text}")
    with pytest.raises(SystemExit, match="1"):
        main(["label", str(tmp_path / "rows.csv"), "--endpoint", server.url, "--model", "m", "--prompt",
              str(tmp_path / "prompt.txt"), "--classes", "a,b", "--key-env", "MY_KEY", "--retries", "0",
              "--out", str(tmp_path / "out"), "--json"])  # fmt: skip
    printed = capfd.readouterr()
    assert "sent unencrypted" in printed.err
    assert "[key]" in printed.err
    assert KEY not in printed.out + printed.err
    assert KEY.encode() not in everything(tmp_path)


def error_with_key(handler):
    return 500, {"error": {"message": handler.headers["Authorization"]}}, {}
