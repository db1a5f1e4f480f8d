"""The log of a run: lines in its folder, and records that a host program can listen to."""

import logging
import re

from overproof.runs.folder.run_log import FILE, RunLog


def test_a_message_is_a_line_with_its_time(tmp_path):
    log = RunLog(folder=tmp_path)
    log.write("student", "slam, seed 0: 1.5 s")
    log.write("warning", "100 % of class é are lost", logging.WARNING)
    first, second = (tmp_path / FILE).read_text().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d student: slam, seed 0: 1\.5 s", first)
    assert second.endswith(" warning: 100 % of class é are lost")


def test_a_host_program_hears_what_it_asks_for(tmp_path, caplog):
    log = RunLog(folder=tmp_path)
    with caplog.at_level(logging.INFO, logger="overproof"):
        log.write("labels", "every example is answered")
    with caplog.at_level(logging.WARNING, logger="overproof"):
        log.write("labels", "not shown")
        log.write("warning", "a class is lost", logging.WARNING)
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("INFO", "labels: every example is answered"),
        ("WARNING", "warning: a class is lost"),
    ]
    assert {each.folder for each in caplog.records} == {str(tmp_path)}
    # The file has all of them.
    assert len((tmp_path / FILE).read_text().splitlines()) == 3


def test_a_library_prints_nothing_by_itself(tmp_path, capsys):
    RunLog(folder=tmp_path).write("warning", "a class is lost", logging.WARNING)
    assert capsys.readouterr() == ("", "")
