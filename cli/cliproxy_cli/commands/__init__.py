"""The commands, one module each: `register(subparsers)` adds its parser, which names what to run."""

from typing import Final

from cliproxy_cli.commands import backup, cost, restore, status

COMMANDS: Final = (status, cost, backup, restore)
"""In the order in which help shows them."""
