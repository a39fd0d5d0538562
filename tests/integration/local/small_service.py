"""A program for the supervisor's tests: answers /readyz, /environment, and dies when told to."""

from __future__ import annotations

import json
import os
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/die":
            os.kill(os.getpid(), signal.SIGKILL)
        body = json.dumps({"pid": os.getpid(), "environment": dict(os.environ)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_parts: object) -> None:
        """Silent."""


if __name__ == "__main__":
    if os.environ.get("SMALL_SERVICE_FAILS"):
        raise SystemExit("this one cannot start")
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["LIANGXIAN_PORT"])), Answers).serve_forever()
