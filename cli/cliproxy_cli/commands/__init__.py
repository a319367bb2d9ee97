"""The commands, one module each: `register(subparsers)` adds its parser, which names what to run."""

from typing import Final

from cliproxy_cli.commands import cost, status

COMMANDS: Final = (status, cost)
"""In the order in which help shows them."""
