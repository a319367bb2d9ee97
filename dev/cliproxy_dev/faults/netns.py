"""A network of one's own for the suite, and cuts in it that nobody is told of: needs Linux, `ip`, `unshare`.

In a private network namespace every address is loopback, no port is taken by others, and a routing rule can
swallow packets between the operator and single sidecars without touching the machine's own network.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from typing import Final

from cliproxy_api.vocabulary import CONTROL_PORT

_MARK: Final = "CLIPROXY_FAULTS_NETWORK"
"""Set in the process that runs inside."""
_LOCAL_TABLE_AT: Final = 100
"""Preference of the table of local addresses, moved behind our rules; the kernel has it first."""
_CUTS_AT: Final = 10
_DOCUMENTATION: Final = "192.0.2.1/32"
"""RFC 5737: an address that is nobody's."""


def is_private() -> bool:
    """Whether this process has a network of its own."""
    return _MARK in os.environ


def enter(module: str) -> str:
    """Run this program again in a network of its own; returns, with the reason, only if it cannot."""
    if not (ip := shutil.which("ip")) or not (unshare := shutil.which("unshare")):
        return "no `ip` and `unshare` here (Debian: iproute2, util-linux)"
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    wrapped = [unshare, *user, "--net", "--"]
    tried = subprocess.run(
        [*wrapped, ip, "link", "set", "lo", "up"], capture_output=True, text=True, check=False
    )
    if tried.returncode != 0:
        return f"no network namespace may be made here: {tried.stderr.strip()}"
    steps = (
        "link set lo up",
        # kube-apiserver does not start without a default route and an address on it; nobody uses either.
        f"address add {_DOCUMENTATION} dev lo",
        "route add default dev lo",
        f"rule add pref {_LOCAL_TABLE_AT} lookup local",
        "rule del pref 0",
    )
    prepare = " && ".join([*(f"{ip} {step}" for step in steps), 'exec "$@"'])
    os.environ[_MARK] = "1"
    words = ["sh", "-c", prepare, "sh", sys.executable, "-m", module, *sys.argv[1:]]
    return os.execv(unshare, [*wrapped, *words])  # noqa: S606 -- the words are our own


class Cut:
    """Silence between the operator and some sidecars: `async with Cut(addresses)`."""

    def __init__(self, addresses: Iterable[str]) -> None:
        """`addresses` are the pods' own."""
        self._rules = [
            rule
            for address in addresses
            for rule in (
                ["to", address, "dport", str(CONTROL_PORT)],
                ["from", address, "sport", str(CONTROL_PORT)],
            )
        ]

    async def __aenter__(self) -> None:
        for rule in self._rules:
            await _ip("rule", "add", "pref", str(_CUTS_AT), *rule, "blackhole")

    async def __aexit__(self, *_: object) -> None:
        for rule in self._rules:
            await _ip("rule", "del", "pref", str(_CUTS_AT), *rule, "blackhole")


async def _ip(*words: str) -> None:
    process = await asyncio.create_subprocess_exec("ip", *words, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"ip {' '.join(words)}: {said.decode().strip()}")
