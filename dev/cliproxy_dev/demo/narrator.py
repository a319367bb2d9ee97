"""Tell a person what happens: elapsed time, commands as typed, their real output, what was proven.

Nothing is decided here. Colours only on a terminal, and not when NO_COLOR is set or TERM is dumb.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from typing import TextIO

from cliproxy_cli.output import wants_colours
from cliproxy_dev.clock import now_s


class Narrator:
    """Writes the story to a stream, line by line, flushed at once so that a pipe sees it live."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        """Start the clock that every heading shows."""
        self._out = out
        self._began_s = now_s()
        self._colour = wants_colours(out, os.environ, refused=False)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the story began."""
        return now_s() - self._began_s

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        self._line(f"\n{self._paint('1;36', f'── {title} ')}{self._paint('2', f'[{self.elapsed_s:5.1f} s]')}")

    def say(self, text: str) -> None:
        """Explain what is about to happen."""
        self._line(f"   {text}")

    def command(self, command: Sequence[str]) -> None:
        """Show a command as a person would type it."""
        self._line(f"\n   {self._paint('1', '$ ' + shlex.join(command))}")

    def output(self, text: str) -> None:
        """Show what a command printed."""
        for line in text.rstrip("\n").splitlines():
            self._line(f"   {line}")

    def proven(self, text: str) -> None:
        """State something that was just seen to be so."""
        self._line(f"   {self._paint('32', '✔')} {text}")

    def failed(self, text: str) -> None:
        """State what was expected and not seen."""
        self._line(f"\n   {self._paint('31', '✘')} {text}")

    def progress(self, text: str) -> None:
        """One line about something that takes longer than a moment."""
        self._line(f"   {self._paint('2', f'[{self.elapsed_s:5.1f} s] {text}')}")

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _line(self, text: str) -> None:
        print(text, file=self._out, flush=True)
