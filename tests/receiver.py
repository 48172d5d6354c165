"""Someone on call: a local server that keeps what is sent to it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "T0K3N-of-the-address"  # noqa: S105


@dataclass
class Receiver:
    """What arrived, in order, and how it answers."""

    address: str = ""
    status: int = 200
    messages: list[dict[str, Any]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    may_answer: threading.Event = field(default_factory=threading.Event)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver at `address`, which holds a secret."""
    receiver = Receiver()
    receiver.may_answer.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            receiver.queries.append(self.path)
            receiver.may_answer.wait(30)
            self.send_response(receiver.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        receiver.address = f"http://127.0.0.1:{server.server_port}/hook/{SECRET}?token={SECRET}"
        try:
            yield receiver
        finally:
            receiver.may_answer.set()
            server.shutdown()
            thread.join()
