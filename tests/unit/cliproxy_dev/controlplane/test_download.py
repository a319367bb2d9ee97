"""The release download against a server on loopback: trusted by checksum only, quick to give up."""

from __future__ import annotations

import hashlib
import http.server
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cliproxy_dev.controlplane import download
from cliproxy_dev.controlplane.find import CannotObtain
from cliproxy_dev.controlplane.progress import Progress


def archive(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("__", "/").replace("_", "-"))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


GOOD = archive(
    controller_tools__envtest__etcd=b"etcd!", controller_tools__envtest__kube_apiserver=b"server!", evil=b"x"
)


class Release:
    """A server that answers one archive, or the status given."""

    def __init__(self) -> None:
        self.content, self.status = GOOD, 200
        release = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(release.status)
                self.send_header("Content-Length", str(len(release.content)))
                self.end_headers()
                self.wfile.write(release.content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/release.tar.gz"


@pytest.fixture
def release() -> Iterator[Release]:
    made = Release()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def fetch(into: Path, url: str, content: bytes = GOOD) -> None:
    download.download(into, Progress(io.StringIO()), url=url, sha512=hashlib.sha512(content).hexdigest())


def test_the_two_programs_come_out_executable_and_nothing_else(release: Release, tmp_path: Path) -> None:
    fetch(tmp_path, release.url)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "etcd": b"etcd!", "kube-apiserver": b"server!",
    }  # fmt: skip
    assert all(path.stat().st_mode & 0o777 == 0o755 for path in tmp_path.iterdir())


def test_another_checksum_is_refused_and_nothing_is_kept(release: Release, tmp_path: Path) -> None:
    with pytest.raises(CannotObtain, match="checksum is not the pinned one"):
        fetch(tmp_path, release.url, b"something else")

    assert list(tmp_path.iterdir()) == []


def test_an_archive_without_a_program_is_refused(release: Release, tmp_path: Path) -> None:
    release.content = archive(etcd=b"e")

    with pytest.raises(CannotObtain, match="lacks kube-apiserver"):
        fetch(tmp_path, release.url, release.content)


def test_an_error_answer_is_named(release: Release, tmp_path: Path) -> None:
    release.status = 404

    with pytest.raises(CannotObtain, match="Not Found"):
        fetch(tmp_path, release.url)


def test_a_closed_network_is_given_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ANSWER_S", 0.05)
    monkeypatch.setattr(download, "STALL_S", 0.5)
    # A server that takes connections and never answers.
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(CannotObtain, match="no answer within"),
    ):
        fetch(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}/")


def test_refused_connections_are_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(CannotObtain, match="refused"):
        fetch(tmp_path, f"http://127.0.0.1:{port}/")


def test_a_platform_without_a_pin_is_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "platform_name", lambda: "plan9-mips")

    with pytest.raises(CannotObtain, match="none is pinned for plan9-mips"):
        download.download(tmp_path, Progress(io.StringIO()))


@pytest.mark.parametrize("name", download.SHA512)
def test_every_pin_is_a_whole_checksum(name: str) -> None:
    assert len(bytes.fromhex(download.SHA512[name])) == hashlib.sha512().digest_size
