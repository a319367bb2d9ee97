"""The commands, one module each: `register(subparsers)` adds its parser, which names what to run."""

from typing import Final

from cliproxy_cli.commands import status

COMMANDS: Final = (status,)
"""In the order in which help shows them."""
