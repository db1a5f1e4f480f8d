"""Times of `overproof serve` at 1, 8 and 64 clients, beside onnxruntime in a loop: p50, p99 and requests a second.

`python benchmarks/serving.py [--seconds 5] [--texts 1]`

A student of n-grams (2**17 buckets, 6 classes) is exported and served by the command, in a process of its own. Each
client is a thread of another process with a connection that stays open; it sends the next request when the last one is
answered. The loop is `score.py` of the export, which encodes the same texts and gives them to onnxruntime without a
server; with C clients it would answer one after the other, so a client there waits C times as long.
"""

import argparse
import http.client
import importlib.util
import itertools
import json
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

import numpy as np
import torch

import overproof
from overproof.data import from_arrays
from overproof.models import ModelSpec, build

CLIENTS = (1, 8, 64)
SAID = "the a dress fits small large true to size love this color fabric soft itchy return would buy again not"


def texts_of(num: int, seed: int) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(SAID.split(), int(draw.integers(20, 90)))) for _ in range(num)]


def exported(folder: Path) -> None:
    names = [f"class {place}" for place in range(6)]
    spec = ModelSpec(name="ngram", options={"buckets": 2**17})
    student = build(spec, [from_arrays(texts_of(1000, 0))], class_names=names, seed=0)
    with torch.no_grad():
        for value in student.module.parameters():
            value += 0.1 * torch.randn(value.shape, generator=torch.Generator().manual_seed(0))
    overproof.export(student, folder)


def loop(folder: Path, bodies: list[list[str]], seconds: float) -> list[float]:
    """Times of single calls of `score.py`, in a process with nothing else."""
    sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location("score", folder / "score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    scorer, found = module.Scorer(), list[float]()
    end = time.perf_counter() + seconds
    for texts in itertools.cycle(bodies):
        began = time.perf_counter()
        if began > end:
            return found[20:]
        scorer.probs(texts)
        found.append(time.perf_counter() - began)
    return found


def asked(address: str, clients: int, bodies: list[list[str]], seconds: float) -> list[float]:
    """Times of single requests, of all clients."""
    host, found = urllib.parse.urlsplit(address).netloc, list[float]()
    sent = [json.dumps({"texts": texts}).encode() for texts in bodies]
    end = time.perf_counter() + seconds

    def client(place: int) -> None:
        connection = http.client.HTTPConnection(host, timeout=120)
        for body in itertools.islice(itertools.cycle(sent), place, None):
            began = time.perf_counter()
            if began > end:
                return
            connection.request("POST", "/predict", body)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            found.append(time.perf_counter() - began)

    threads = [threading.Thread(target=client, args=(place,)) for place in range(clients)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--texts", type=int, default=1)
    given = parser.parse_args()
    bodies = [texts_of(given.texts, 1 + place) for place in range(64)]
    alone = multiprocessing.get_context("spawn").Pool
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "export"
        exported(folder)
        command = [sys.executable, "-m", "overproof", "serve", str(folder), "--port", "0", "--json", "--quiet"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            address = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")["address"]
            print(f"{given.texts} texts a request    p50 ms    p99 ms  requests/s  times the loop (p50)", flush=True)
            for clients in CLIENTS:
                # In turns, because other work on the machine slows both.
                with alone(1) as one:
                    bare = one.apply(loop, (folder, bodies, given.seconds))
                    served = one.apply(asked, (address, clients, bodies, given.seconds))
                for name, times in (("loop", bare), (f"{clients} clients", served)):
                    middle, late = (1000 * np.quantile(times, share) for share in (0.5, 0.99))
                    ratio = middle / (1000 * np.median(bare))
                    rate = len(times) / given.seconds
                    print(f"{name:18} {middle:12.2f} {late:9.2f} {rate:11.0f} {ratio:8.2f}", flush=True)
            process.terminate()


if __name__ == "__main__":
    main()
