"""A small server on 127.0.0.1 that answers as OpenAI-compatible ones do, counts, and fails as it is told.

It answers with the class whose name stands after `#` in the prompt. As a process of its own: `python model_server.py
PORT_FILE COUNT_FILE SECONDS`.
"""

import json
import re
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Answers requests; `faults` is called with (number of the request, its body, the handler) before each.

    It returns None for a plain answer, (status, body, headers) for another one, or True where it has answered itself.
    """

    def __init__(self, count_file=None, seconds=0.0):
        self.requests, self.headers, self.counts = [], [], Counter()
        self.fault = lambda number, body, handler: None
        self.reply = lambda body: {"content": re.search(r"#(.*)", body["messages"][0]["content"])[1].strip()}
        self.logprobs = None
        self.usage = True
        self.model = "tiny-2026-11-01"
        self.count_file, self.seconds = count_file, seconds
        self.under_way = self.most_under_way = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_POST(self):
                try:
                    outer.answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *args: None
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        self._thread = threading.Thread(target=lambda: self.http.serve_forever(poll_interval=0.02), daemon=True)
        self._thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def answer(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        prompt = body["messages"][0]["content"]
        with self._lock:
            self.requests.append(body)
            self.headers.append(dict(handler.headers))
            number = len(self.requests)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            time.sleep(self.seconds)
            found = self.fault(number, body, handler)
            if found is True:
                return
            if found is None:
                with self._lock:
                    self.counts[prompt] += 1
                    if self.count_file is not None:
                        with open(self.count_file, "a") as file:
                            file.write(json.dumps(prompt) + "\n")
                found = 200, self.completion(body), {}
            send(handler, *found)
        finally:
            with self._lock:
                self.under_way -= 1

    def completion(self, body):
        message = {"role": "assistant", **self.reply(body)}
        choice = {"index": 0, "message": message, "finish_reason": message.pop("finish", "stop")}
        if self.logprobs is not None:
            choice["logprobs"] = self.logprobs(message["content"])
        prompt = body["messages"][0]["content"]
        # The same id each time, and the question, so that a test finds it in the ledger.
        found = {
            "id": "chatcmpl-1",
            "prompt": prompt,
            "object": "chat.completion",
            "model": self.model,
            "choices": [choice],
        }
        if self.usage:
            found["usage"] = {"prompt_tokens": len(prompt) // 4, "completion_tokens": 2}
        return found


def send(handler, status, body, headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(content)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content)


def error(status, message, **headers):
    return status, {"error": {"message": message}}, {name.replace("_", "-"): value for name, value in headers.items()}


if __name__ == "__main__":
    server = Server(count_file=sys.argv[2], seconds=float(sys.argv[3]))
    with open(sys.argv[1], "w") as file:
        file.write(server.url)
    while True:
        time.sleep(1)
