"""A copy of the log in a file that turns over by size and age; written by one thread, never by the loop.

What the thread cannot write (no folder, no right, a full disk) is dropped and counted, told once, and tried
again later; the log on stdout goes on. Deciding what a line says is `logs`'.
"""

import contextlib
import os
import re
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from cliproxy_api.telling import LogFile
from cliproxy_sidecar.runtime.clock import now_s, unix_now_s

MAX_WAITING_BYTES: Final = 4 * 1024 * 1024
"""For a disk that is slow: some ten thousand lines."""
LOOK_S: Final = 30.0
"""Between looks at the age of files while nothing is written."""
PAUSE_S: Final = 5.0
"""After a failure; what comes meanwhile waits, as far as there is room."""
_MODE: Final = 0o640
_FIRST: Final = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")

Told = Callable[[str | None], None]
"""Called by the thread: why nothing can be written, None when it can again."""


class FileWriter:
    """The file and its thread; `configure` says how large and old it may become, None that there is none."""

    def __init__(self, path: Path, told: Told) -> None:
        self._path = path
        self._told = told
        self._rules: LogFile | None = None
        self._last: LogFile | None = None
        """What lines are written by that came before there was to be no file."""
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._lines = 0
        self._changed = threading.Condition()
        self._ending = False
        self._thread: threading.Thread | None = None
        self._shelf = Shelf(path)
        self.written = 0
        """Lines."""
        self.dropped = 0
        self.trouble: str | None = None

    @property
    def is_on(self) -> bool:
        """Whether there is to be a file."""
        return self._rules is not None

    def configure(self, rules: LogFile | None) -> None:
        """Take the profile's word; the first that wants a file starts the thread."""
        with self._changed:
            self._rules = rules
            self._last = rules or self._last
            self._changed.notify()
        if rules is not None and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log file", daemon=True)
            self._thread.start()

    def offer(self, data: bytes, lines: int) -> None:
        """Have whole lines written soon; without room they are dropped. Never waits for the disk."""
        with self._changed:
            if self._bytes + len(data) > MAX_WAITING_BYTES:
                self.dropped += lines
                return
            self._waiting.append(data)
            self._bytes += len(data)
            self._lines += lines
            self._changed.notify()

    def close(self, within_s: float) -> None:
        """Write what waits and end, but do not wait longer for a disk that hangs."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(within_s)

    # ------------------------------------------------------------------ the thread
    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._waiting and not self._ending:
                    self._changed.wait(LOOK_S)
                waiting, lines, rules = self._waiting, self._lines, self._rules
                self._waiting, self._bytes, self._lines = [], 0, 0
                ending = self._ending
            self._step(b"".join(waiting), lines, rules)
            if ending:
                self._shelf.close()
                return
            if self.trouble is not None:
                self._pause()

    def _step(self, data: bytes, lines: int, rules: LogFile | None) -> None:
        kept_by = rules or (self._last if data else None)
        if kept_by is None:
            self._shelf.close()
            self.trouble = None
            return
        try:
            self._shelf.write(data, kept_by, unix_now_s())
        except OSError as error:
            self._shelf.close()
            self.dropped += lines
            self._tell(error.strerror or str(error))
        else:
            self.written += lines
            self._tell(None)

    def _tell(self, trouble: str | None) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            self._told(trouble)

    def _pause(self) -> None:
        until = now_s() + PAUSE_S
        with self._changed:
            while not self._ending and (left := until - now_s()) > 0:
                self._changed.wait(left)


class Shelf:
    """The file and those that went before it: `PATH`, `PATH.1` (the newest) and so on. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._size = 0
        self._begun_s = 0.0

    def write(self, data: bytes, rules: LogFile, now_s: float) -> None:
        """Append whole lines, all or none of them; `now_s` is seconds since 1970.

        Raises:
            OSError: they cannot be written; nothing of them stays in the file.

        """
        file = self._open(now_s)
        full = self._size + len(data) > rules.max_bytes
        if self._size and (full or now_s - self._begun_s >= rules.max_age_s):
            self._turn(rules.backups)
            file = self._open(now_s)
        self._tidy(rules, now_s)
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(file, left) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(file, self._size)
            raise
        self._size += len(data)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            file, self._file = self._file, None
            with contextlib.suppress(OSError):
                os.close(file)

    def _open(self, now_s: float) -> int:
        """Return the file; a new one if somebody else has moved or removed it."""
        if self._file is not None:
            here = os.fstat(self._file)
            try:
                there = self._path.stat()
            except FileNotFoundError:
                there = None
            if there is not None and (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
                return self._file
            self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _MODE)
        self._size = os.fstat(file).st_size
        self._begun_s = _begun_s(os.pread(file, 128, 0), now_s)
        return file

    def _turn(self, backups: int) -> None:
        """Put the file away and begin another."""
        self.close()
        if backups == 0:
            self._path.unlink()
            return
        for number in range(backups - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._numbered(number).replace(self._numbered(number + 1))
        self._path.replace(self._numbered(1))

    def _tidy(self, rules: LogFile, now_s: float) -> None:
        """Remove files that are too many or too old."""
        for path in self._path.parent.glob(f"{self._path.name}.*"):
            number = path.name[len(self._path.name) + 1 :]
            if not number.isdecimal():
                continue
            with contextlib.suppress(FileNotFoundError):
                if int(number) > rules.backups or now_s - path.stat().st_mtime > rules.max_age_s:
                    path.unlink()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _begun_s(beginning: bytes, now_s: float) -> float:
    """Return when a file's first line was written, seconds since 1970; `now_s` if it does not say."""
    found = _FIRST.search(beginning)
    if found is None:
        return now_s
    try:
        return min(datetime.fromisoformat(found[0].decode() + "+00:00").timestamp(), now_s)
    except ValueError:
        return now_s
