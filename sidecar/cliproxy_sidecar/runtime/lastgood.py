"""The last good configuration on disk: written beside the data path, read once at the start.

Each document is one gzipped file that is replaced whole, mode 0600, so a crash leaves the one before. Which
of several is run is left to `snapshots`; a folder that cannot be written costs a warning, not a request.
"""

import asyncio
import gzip
import logging
import os
import zlib
from pathlib import Path
from typing import Final

from cliproxy_sidecar.runtime.tasks import Tasks

log = logging.getLogger(__name__)

SNAPSHOT: Final = "snapshot.json.gz"
STATE: Final = "state.json.gz"
MAX_BYTES: Final = 16 * 1024 * 1024
"""Of a document, unpacked: what the control port takes at most."""
PAUSE_S: Final = 1.0
"""Between two writes: of a burst the newest is kept."""
_GZIP: Final = 16 + zlib.MAX_WBITS


class LastGood:
    """Keeps the newest of each document in a folder."""

    def __init__(self, folder: Path, tasks: Tasks) -> None:
        self._folder = folder
        self._tasks = tasks
        self._waiting: dict[str, bytes] = {}
        self._writing: asyncio.Task[None] | None = None
        self._trouble = ""

    def keep(self, name: str, body: bytes) -> None:
        """Have a document written soon; a newer one of the same name takes its place."""
        self._waiting[name] = body
        if self._writing is None or self._writing.done():
            self._writing = self._tasks.spawn(self._write_all(), "last good configuration")

    def read(self, name: str) -> bytes | None:
        """Return a kept document, unpacked; None if there is none that can be read."""
        return read_document(self._folder / name)

    async def _write_all(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            for name, body in waiting.items():
                try:
                    await asyncio.to_thread(_write, self._folder / name, body)
                    self._trouble = ""
                except OSError as error:
                    if (trouble := str(error)) != self._trouble:
                        self._trouble = trouble
                        log.warning("the last good configuration cannot be kept: %s", trouble)
            await asyncio.sleep(PAUSE_S)


def read_document(path: Path) -> bytes | None:
    """Return a document, unpacked if it is gzipped; None, and a warning, if it cannot be used."""
    try:
        with path.open("rb") as file:
            return _unpacked(file.read(MAX_BYTES + 1))
    except FileNotFoundError:
        return None  # an optional Secret that is not there, or a first start
    except (OSError, ValueError, zlib.error) as error:
        log.warning("%s cannot be used: %s", path, error)
        return None


def _unpacked(body: bytes) -> bytes:
    if body.startswith(b"\x1f\x8b"):
        unpack = zlib.decompressobj(_GZIP)
        body = unpack.decompress(body, MAX_BYTES + 1)
        if not unpack.eof and len(body) <= MAX_BYTES:
            raise ValueError("it is cut short")
    if len(body) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    return body


def _write(path: Path, body: bytes) -> None:
    """Replace a file so that whoever reads it finds the old or the new content, whole."""
    new = path.with_name(f".{path.name}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(gzip.compress(body, compresslevel=1, mtime=0))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
