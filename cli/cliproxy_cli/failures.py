"""What ends a command: a sentence for a person, and the exit code."""

from typing import Final

FAILED: Final = 1
MISUSED: Final = 2
"""As argparse's own."""
INTERRUPTED: Final = 130


class CommandFailed(Exception):
    """The command cannot do what was asked; the message says why, `hint` what to do."""

    def __init__(self, message: str, *, hint: str = "", code: int = FAILED) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code
