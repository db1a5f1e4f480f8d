"""Starts commands of overproof as processes of their own, without the seconds that its libraries take to import.

    python server.py        reads one JSON list of arguments a line, prints the process's number and then its exit code

Every command is a fork of this process, which has imported the libraries and done nothing else: it has its own memory
and its own exit code, and receives signals as a command does that was started by a shell.
"""

import importlib
import json
import os
import signal
import sys


def serve() -> list[str] | None:
    """Fork for every line; returns the arguments in the child, and None at the end of the input in the parent."""
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.setsid()
            for number, name in ((1, "out"), (2, "err")):
                handle = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                os.dup2(handle, number)
                os.close(handle)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            return list(request["arguments"])
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


LIBRARIES = (
    "jinja2", "pyarrow.csv", "pyarrow.parquet", "rich.progress", "rich.table", "safetensors.torch",
    "scipy.optimize", "scipy.special", "scipy.stats", "sklearn.linear_model", "yaml", "overproof.commands.main",
    "overproof.deployment", "overproof.report", "overproof.runs.comparison", "overproof.runs.pipeline",
)  # fmt: skip
"""What the commands import when they need it."""

if __name__ == "__main__":
    for each in LIBRARIES:
        importlib.import_module(each)
    from overproof.__main__ import start

    print("ready", flush=True)
    arguments = serve()
    if arguments is not None:
        sys.argv = ["overproof", *arguments]
        start()
