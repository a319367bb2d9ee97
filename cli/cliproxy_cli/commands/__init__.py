"""The commands, one module each: `register(subparsers)` adds its parser, which names what to run."""

from typing import Final

from cliproxy_cli.commands import (
    alerts,
    backup,
    completion,
    cooldown,
    cost,
    explain,
    recover,
    restore,
    sidecars,
    status,
    support_bundle,
    top,
)

COMMANDS: Final = (
    status,
    top,
    sidecars,
    explain,
    cooldown,
    recover,
    alerts,
    cost,
    backup,
    restore,
    support_bundle,
    completion,
)
"""In the order in which help shows them."""
