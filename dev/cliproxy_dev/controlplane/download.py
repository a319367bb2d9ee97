"""Download the pinned official release of etcd and kube-apiserver, and trust it by checksum only.

The archive is the one that Kubernetes' controller-tools project publishes for envtest; the checksums are
those of its `envtest-releases.yaml` (read 2025-11 at commit 0243d12cd20a). In a closed network this gives up
after `ANSWER_S`; what then is left to `prepare`.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import platform
import queue
import shutil
import sys
import tarfile
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from cliproxy_dev.controlplane.find import PROGRAMS, RELEASE, CannotObtain
from cliproxy_dev.controlplane.progress import Progress

URL = (
    "https://github.com/kubernetes-sigs/controller-tools/releases/download/"
    "envtest-v{version}/envtest-v{version}-{platform}.tar.gz"
)
SHA512 = {
    "linux-amd64": (
        "d53870e1a6c9b3b50366489a9387f4e254c664955e932e3e25e2088bb437b270"
        "bfab75d241b50849233f9a34bb1f08b41567ebb81ea29352104ae0f5b1cb9e88"
    ),
    "linux-arm64": (
        "140748efaa394598f50175e809cd53896881ed046d93ebdfbd5442100f68b3d8"
        "d51fd22f8cf1ae06a6e43473897b789df0db6e0ae6c45c8320b000d5ee900005"
    ),
    "darwin-amd64": (
        "e705b35189052880afefeac72797834d2750bfcfc8971dd913cc2b5575ea7222"
        "e9cfa3ebb38a5e5deec8f06089ecc654beaf9c4fe990acf41e57758c26b3d62a"
    ),
    "darwin-arm64": (
        "48c1fa5555f021f8aa365faaa96b106804ce5e3022142a2a166bc91ecd5b22da"
        "79f012d20c1a4963e0236df00a214f3311cdd842de4ab19442ca1c83b3bcb859"
    ),
}
ANSWER_S = 3.0  # to the first byte; a closed network must not cost a newcomer more
STALL_S = 20.0  # a download that stands still this long is given up
PIECE_BYTES = 1 << 20
MAX_ARCHIVE_BYTES = 400 << 20  # the real one has about 70 MiB


def platform_name() -> str:
    """Return this machine's name in the release, such as `linux-amd64`."""
    machine = platform.machine().lower()
    return f"{sys.platform}-{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(machine, machine) }"


def download(into: Path, progress: Progress, *, url: str = "", sha512: str = "") -> None:
    """Put the two programs into the existing directory `into`. Raises `CannotObtain`.

    `url` and `sha512` replace the pinned ones in tests.
    """
    name = platform_name()
    sha512 = sha512 or SHA512.get(name, "")
    if not sha512:
        raise CannotObtain(f"release download: none is pinned for {name}")
    url = url or URL.format(version=RELEASE, platform=name)
    archive = into / "archive.tar.gz"
    try:
        response = _open_within(url, ANSWER_S)
        with progress.step(f"downloading kube-apiserver and etcd {RELEASE}", lambda: _megabytes(archive)):
            _save(response, archive, sha512)
            _unpack(archive, into)
    except (OSError, http.client.HTTPException, tarfile.TarError) as error:
        raise CannotObtain(f"release download: {error}") from error
    finally:
        archive.unlink(missing_ok=True)


def _open_within(url: str, limit_s: float) -> Any:
    """Open `url`; name lookup, connection, TLS and the answer's head together get `limit_s`.

    In a thread, because a name lookup that gets no answer cannot be interrupted in any other way.
    """
    answers: queue.Queue[Any] = queue.Queue(1)

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(url, timeout=STALL_S))  # noqa: S310 -- the pinned https address
        except (OSError, http.client.HTTPException, ValueError) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=limit_s)
    except queue.Empty:
        raise CannotObtain(f"release download: no answer within {limit_s:g} s (no network?)") from None
    if isinstance(answer, urllib.error.URLError) and not isinstance(answer, urllib.error.HTTPError):
        raise CannotObtain(f"release download: {answer.reason} (no network?)")
    if isinstance(answer, Exception):
        raise CannotObtain(f"release download: {answer}")
    return answer


def _save(response: Any, archive: Path, sha512: str) -> None:
    digest, total = hashlib.sha512(), 0
    with response, archive.open("wb") as file:
        while piece := response.read(PIECE_BYTES):
            total += len(piece)
            if total > MAX_ARCHIVE_BYTES:
                raise CannotObtain("release download: far larger than the pinned archive, refused")
            digest.update(piece)
            file.write(piece)
    if digest.hexdigest() != sha512:
        raise CannotObtain("release download: its checksum is not the pinned one, refused")


def _unpack(archive: Path, into: Path) -> None:
    """Take the two programs and nothing else, whatever the paths in the archive."""
    wanted = set(PROGRAMS)
    with tarfile.open(archive) as tar:
        for member in tar:
            name = Path(member.name).name
            content = tar.extractfile(member) if member.isfile() and name in wanted else None
            if content is None:
                continue
            with content, (into / name).open("wb") as file:
                shutil.copyfileobj(content, file)
            os.chmod(into / name, 0o755)  # noqa: PTH101, S103 -- a program
            wanted.discard(name)
    if wanted:
        raise CannotObtain(f"release download: the archive lacks {' and '.join(sorted(wanted))}")


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size >> 20} MB" if path.exists() else "starting"
