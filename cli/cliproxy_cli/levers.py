"""Asks the operator for a cooldown or a recovery, by annotations that it takes, and sees what comes of it."""

from collections.abc import Callable
from typing import Any, Final

from cliproxy_api.kinds import PROVIDER
from cliproxy_cli.context import Context
from cliproxy_cli.failures import CommandFailed
from cliproxy_cli.kube import Json, Refused

MANAGER: Final = "kubectl-cliproxy"
"""Field manager: the audit log names it."""
LOOK_S: Final = 0.5
WAIT_S: Final = 15.0
NOT_FOUND: Final = 404


def pull(context: Context, name: str, annotation: str, value: str) -> str:
    """Set the annotation on a provider; return the provider's path.

    Raises:
        CommandFailed: there is no such provider, or the person may not.

    """
    path = PROVIDER.path(context.own_namespace, name)
    body = {"metadata": {"annotations": {annotation: value}}}
    try:
        context.kube.merge_patch(path, body, fieldManager=MANAGER)
    except Refused as refused:
        if refused.status == NOT_FOUND and refused.reason == "NotFound":
            raise CommandFailed(
                f"there is no LLMProvider {name!r} in namespace {context.own_namespace}",
                hint="`cliproxy status -A` lists all",
            ) from None
        raise
    return path


def wait(context: Context, path: str, annotation: str, holds: Callable[[dict[str, Any]], bool]) -> Json:
    """Return the provider once the operator has taken the annotation and its status `holds`.

    Raises:
        CommandFailed: that is not so after `WAIT_S`.

    """
    for _ in range(int(WAIT_S / LOOK_S)):
        one = context.kube.get(path)
        taken = annotation not in (one["metadata"].get("annotations") or {})
        if taken and holds(one.get("status") or {}):
            return one
        context.sleep(LOOK_S)
    where = one["metadata"]
    if taken:
        phase = (one.get("status") or {}).get("phase")
        raise CommandFailed(
            f"the operator has taken the wish, but {where['name']} is {phase}",
            hint=f"kubectl describe llmprovider {where['name']} -n {where['namespace']}",
        )
    raise CommandFailed(
        f"no operator has taken the annotation {annotation} within {WAIT_S:.0f} s; it stays until one does",
        hint="is the operator running, and does it serve this namespace?",
    )
