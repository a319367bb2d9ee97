"""A tiny program that stands in for a container: answers HTTP at its pod's address, does what it is told.

`/env` answers its environment as JSON (and under ASKED how often `/ready` was asked), `/ready` 200 while the
file named by READY_FILE exists (always without one), `/exit` ends it with code 3. It lives until then or
SIGTERM; with STUBBORN set it ignores SIGTERM.
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import sys
from pathlib import Path


class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self) -> None:
        if self.path == "/exit":
            os._exit(3)
        ready_file = os.environ.get("READY_FILE")
        ready = self.path != "/ready" or not ready_file or Path(ready_file).exists()
        Handler.asked += self.path == "/ready"
        body = json.dumps({**os.environ, "ASKED": str(Handler.asked)}).encode()
        self.send_response(200 if ready else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing per request."""


def main() -> None:
    if os.environ.get("STUBBORN"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout.write(" ".join(["stand-in says hello", *sys.argv[1:]]) + "\n")
    sys.stdout.flush()
    http.server.ThreadingHTTPServer((os.environ["POD_IP"], 8080), Handler).serve_forever()


if __name__ == "__main__":
    main()
