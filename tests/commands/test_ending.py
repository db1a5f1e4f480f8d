"""A command ends its process without taking Python apart: exit functions run, and output is written."""

import subprocess
import sys

CHILD = """
import atexit, sys, threading, types

class Kept:
    def __del__(self):
        print("taken apart")

def main():
    sys.modules["kept"] = kept = types.ModuleType("kept")
    kept.one = Kept()
    threading.Timer(0.1, lambda: print("a thread that was waited for")).start()
    atexit.register(lambda: print("an exit function"))
    print("printed")
    sys.exit(CODE)

stub = types.ModuleType("overproof.commands.main")
stub.main = main
sys.modules["overproof.commands.main"] = stub
from overproof.__main__ import start
start()
"""


def ended(code):
    return subprocess.run(
        [sys.executable, "-c", CHILD.replace("CODE", code)], capture_output=True, text=True, check=False
    )


def test_threads_are_waited_for_exit_functions_run_and_output_is_written():
    for code, expected in (("3", 3), ("0", 0), ("None", 0)):
        child = ended(code)
        assert child.stdout == "printed\na thread that was waited for\nan exit function\n"
        assert child.returncode == expected
        assert child.stderr == ""


def test_a_message_as_exit_code_is_printed_as_by_python():
    child = ended("'a sentence'")
    assert child.returncode == 1
    assert child.stderr == "a sentence\n"
