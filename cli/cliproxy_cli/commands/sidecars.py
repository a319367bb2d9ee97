"""`cliproxy sidecars`: which pods hold a sidecar, which profile each follows, and who lags behind and why."""

from typing import Any

from cliproxy_api.kinds import POD, PROFILE
from cliproxy_api.vocabulary import PROFILE_ANNOTATION
from cliproxy_cli.context import Context
from cliproxy_cli.output import Cell, Colour
from cliproxy_cli.parser import Subparsers, add_command
from cliproxy_cli.shown import age


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    add_command(
        subparsers,
        "sidecars",
        run,
        summary="pods with a sidecar: profile, ready, in step or why not",
        all_namespaces=True,
        watch=True,
    )


def run(context: Context) -> int:
    """Print them."""
    lagging = _lagging(context.kube.items(PROFILE, context.namespace))
    rows = [_view(pod, lagging) for pod in context.kube.items(POD, context.namespace)]
    if context.form != "table":
        context.dump(rows)
        return 0
    if not rows:
        where = f"namespace {context.namespace}" if context.namespace else "any namespace"
        context.note(f"no pods with a sidecar in {where}")
        return 0
    now_utc = context.now_utc()
    columns = ["NAMESPACE", "POD", "PROFILE", "PHASE", "READY", "RESTARTS", "AGE", "BEHIND"]
    context.table(
        columns,
        [
            [
                row["namespace"],
                row["pod"],
                row["profile"] or "(built-in)",
                row["phase"],
                Cell("yes" if row["ready"] else "no", Colour.GREEN if row["ready"] else Colour.YELLOW),
                str(row["restarts"]),
                age(row["created"], now_utc),
                Cell(row["behind"], Colour.YELLOW),
            ]
            for row in rows
        ],
        right=("RESTARTS", "AGE"),
    )
    return 0


def _lagging(profiles: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    """Return what profiles say of pods that lag; they name the worst few."""
    found = {}
    for profile in profiles:
        namespace = str(profile["metadata"]["namespace"])
        for one in ((profile.get("status") or {}).get("sidecars") or {}).get("worst") or []:
            words = [str(one[name]) for name in ("reason", "message") if one.get(name)]
            found[namespace, str(one.get("pod"))] = ": ".join(words) or "behind"
    return found


def _view(pod: dict[str, Any], lagging: dict[tuple[str, str], str]) -> dict[str, Any]:
    meta, status = pod["metadata"], pod.get("status") or {}
    conditions = {one.get("type"): one.get("status") for one in status.get("conditions") or []}
    containers = [*(status.get("containerStatuses") or []), *(status.get("initContainerStatuses") or [])]
    return {
        "namespace": meta["namespace"],
        "pod": meta["name"],
        "profile": (meta.get("annotations") or {}).get(PROFILE_ANNOTATION, ""),
        "phase": str(status.get("phase") or "Unknown"),
        "ready": conditions.get("Ready") == "True",
        "restarts": sum(int(one.get("restartCount") or 0) for one in containers),
        "created": str(meta.get("creationTimestamp") or ""),
        "behind": lagging.get((meta["namespace"], meta["name"]), ""),
    }
