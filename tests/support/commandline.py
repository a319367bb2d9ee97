"""Runs the command line in this process against a small API server in a thread.

It serves the objects it is given, refuses on demand, and keeps what was asked; the real API server is the
cluster tests' judge.
"""

from __future__ import annotations

import contextlib
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from cliproxy_cli.__main__ import main

Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    token: str
    body: Any


@dataclass
class StubApi:
    """Serves `objects` by path (text as it is); what is absent is answered as a kind that nobody serves."""

    objects: dict[str, Any] = field(default_factory=dict)
    refusals: dict[str, tuple[int, Json]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    def kubeconfig(
        self, folder: Path, *, namespace: str = "team-a", token: str = "planted-kube-token"
    ) -> Path:
        path = folder / "kubeconfig"
        path.write_text(
            yaml.safe_dump(
                {
                    "current-context": "here",
                    "contexts": [
                        {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": namespace}}
                    ],
                    "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
                    "users": [{"name": "u", "user": {"token": token}}],
                }
            )
        )
        return path

    def answer(self, asked: Asked) -> tuple[int, Any]:
        self.asked.append(asked)
        if (refusal := self.refusals.get(asked.path)) is not None:
            return refusal
        if asked.path in self.objects:
            return 200, self.objects[asked.path]
        return 404, "404 page not found"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The table's lines as words; cells with blanks in them come apart."""
        return [line.split() for line in self.out.splitlines()]


class Terminal(io.StringIO):
    """A stream that claims to be one."""

    def isatty(self) -> bool:
        return True


def run(
    *argv: str, kubeconfig: Path | None = None, out: io.StringIO | None = None, **environment: str
) -> Ran:
    """Run one command; misuse of the arguments is its exit code as well."""
    stdout, stderr = out or io.StringIO(), io.StringIO()
    variables = {"HOME": "/nonexistent", **environment}
    if kubeconfig is not None:
        variables["KUBECONFIG"] = str(kubeconfig)
    try:
        with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(stdout):
            code = main(argv, environment=variables, out=stdout, err=stderr)
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    return Ran(code, stdout.getvalue(), stderr.getvalue())


@contextlib.contextmanager
def stub_api(**objects: Any) -> Iterator[StubApi]:
    """Serve on loopback until the end of the block."""
    api = StubApi(dict(objects))

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            status, answer = api.answer(Asked(self.command, url.path, query, token, body))
            content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _serve  # noqa: N815 -- the library's names

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def provider(name: str, namespace: str = "team-a", **status: Any) -> Json:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {}, "status": status}


def listed(*objects: Json, more: str = "") -> Json:
    return {"items": list(objects), "metadata": {"continue": more} if more else {}}
