"""What `kubectl auth can-i --list` says of an account, less what Kubernetes lets everybody do, sorted.

Everybody may ask about oneself and read versions and health; which of that there is depends on the version.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.rights.accounts import (
    HOME,
    OPERATOR,
    OTHER,
    SIDECAR,
    TEAM,
    TEAM_HOME,
    TEAM_OPERATOR,
    Account,
)

KUBECTL: Final = Path(sys.executable).with_name("kubectl")
EVERYBODYS: Final = (" ", "self")
"""How lines begin that are about URLs such as /version, and about asking for one's own rights."""
ASKED: Final = (
    (OPERATOR, HOME, "the operator (all namespaces) in its own namespace"),
    (OPERATOR, TEAM, "… in any other namespace"),
    (TEAM_OPERATOR, TEAM_HOME, "the operator of `watchNamespaces: [team-a]` in its own namespace"),
    (TEAM_OPERATOR, TEAM, "… in `team-a`"),
    (TEAM_OPERATOR, OTHER, "… in any other namespace"),
    (SIDECAR, TEAM, "a sidecar, which has no token"),
)


def command(account: Account, namespace: str) -> str:
    """Return what a person would type."""
    return " ".join(["kubectl auth can-i --list -n", namespace, *_as(account)])


async def listed(plane: ControlPlane, account: Account, namespace: str) -> list[str]:
    """Return kubectl's lines, the head first; its refusal, if the account may not even ask.

    Raises:
        RuntimeError: kubectl could not ask.

    """
    words = ["--kubeconfig", str(plane.kubeconfig), "auth", "can-i", "--list", "-n", namespace, *_as(account)]
    process = await asyncio.create_subprocess_exec(
        str(KUBECTL),
        *words,
        env={**os.environ, "HOME": str(plane.layout.root)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, said = await process.communicate()
    if process.returncode != 0 and b"(Forbidden)" in said:
        return [said.decode().strip()]
    if process.returncode != 0:
        raise RuntimeError(f"kubectl {' '.join(words)}: {said.decode()}")
    head, *lines = [line.rstrip() for line in printed.decode().splitlines() if line.strip()]
    return [head, *sorted(line for line in lines if not line.startswith(EVERYBODYS))]


def _as(account: Account) -> list[str]:
    # kubectl adds a service account's own groups, and an anonymous caller's must be said.
    return account.impersonation if account is SIDECAR else [account.impersonation[0]]
