#!/usr/bin/env bash
# uvicorn given a socket of socket.create_server: answers on a connection that stays open wait for the client's delayed
# acknowledgement, some 40 ms each on Linux. Such a socket has protocol 0, the accepted ones inherit it, and asyncio sets
# TCP_NODELAY only where the protocol is IPPROTO_TCP. Expected: the same as with a host and a port, as the socket is TCP.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet uvicorn==0.54.0 h11==0.16.0
cd "$folder"
env/bin/python - <<'PYTHON'
import http.client
import socket
import statistics
import sys
import threading
import time

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

NODELAY = []


class Noting(H11Protocol):
    def connection_made(self, transport):
        super().connection_made(transport)
        accepted = transport.get_extra_info("socket")
        NODELAY.append(bool(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def median_ms(listening):
    config = uvicorn.Config(app, http=Noting, loop="asyncio", ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    connection, times = http.client.HTTPConnection("127.0.0.1", listening.getsockname()[1]), []
    for _ in range(40):
        began = time.perf_counter()
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"ok"
        times.append(1000 * (time.perf_counter() - began))
    connection.close()
    server.should_exit = True
    thread.join()
    return statistics.median(times)


plain = socket.create_server(("127.0.0.1", 0))
bound = socket.create_server(("127.0.0.1", 0))
named = socket.socket(bound.family, bound.type, socket.IPPROTO_TCP, fileno=bound.detach())
print("uvicorn", uvicorn.__version__, "Python", sys.version.split()[0], sys.platform)
slow, quick = median_ms(plain), median_ms(named)
print(f"socket.create_server: TCP_NODELAY {NODELAY[0]}, median {slow:.1f} ms a request")
print(f"the same with IPPROTO_TCP: TCP_NODELAY {NODELAY[1]}, median {quick:.1f} ms a request")
sys.exit(NODELAY != [False, True])
PYTHON
