"""Say what is going on, with elapsed time, whenever a person has to wait.

What to say is left to the caller; a step that takes long is repeated every few seconds with a fresh detail.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TextIO

from cliproxy_dev.clock import now_s

HEARTBEAT_S = 10.0  # long enough not to flood a CI log, short enough to show life


class Progress:
    """Prints lines such as `[  12 s] compiling kube-apiserver ...`, the time since this object was made."""

    def __init__(self, stream: TextIO | None = None, *, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._heartbeat_s = heartbeat_s
        self._began_s = now_s()

    def say(self, text: str) -> None:
        """Print one line with the elapsed time."""
        print(f"[{now_s() - self._began_s:4.0f} s] {text}", file=self._stream, flush=True)

    @contextlib.contextmanager
    def step(self, text: str, detail: Callable[[], str] | None = None) -> Iterator[None]:
        """Say `text` now and every heartbeat until the block ends; `detail()` is added to the repeats."""
        self.say(f"{text} ...")
        ended = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(text, detail, ended), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            ended.set()
            ticker.join()

    def _tick(self, text: str, detail: Callable[[], str] | None, ended: threading.Event) -> None:
        while not ended.wait(self._heartbeat_s):
            self.say(f"{text}: {detail() if detail is not None else 'still at it'}")
