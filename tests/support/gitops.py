"""What GitOps tools make of an object: kstatus's rules, and Argo CD's health script as Argo CD runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lupa import lua51

Json = dict[str, Any]
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
HEALTH = DEPLOY / "argocd" / "health.lua"


def kstatus(obj: Json) -> str:
    """Return what kstatus says: Terminating, InProgress, Failed or Current.

    Its rules for kinds that it does not know, and the one for Ready that it applies to all of them.
    Source: sigs.k8s.io/cli-utils, pkg/kstatus/status generic.go and core.go (read 2026-11-21).
    """
    metadata, status = obj["metadata"], obj.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    observed = status.get("observedGeneration")
    if observed is not None and observed != metadata.get("generation"):
        return "InProgress"
    conditions = status.get("conditions") or []
    for condition in conditions:
        if condition["type"] == "Reconciling" and condition["status"] == "True":
            return "InProgress"
        if condition["type"] == "Stalled" and condition["status"] == "True":
            return "Failed"
    ready = next((one["status"] for one in conditions if one["type"] == "Ready"), "True")
    return "Current" if ready == "True" else "InProgress"


def kstatus_faults(obj: Json) -> list[str]:
    """Return what in a status that has been judged is against kstatus's conventions."""
    status = obj.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or []}
    if status.get("observedGeneration") != obj["metadata"]["generation"]:
        return []
    faults = [
        f"{name} is listed although it does not hold"
        for name in ("Reconciling", "Stalled")
        if name in conditions and conditions[name]["status"] != "True"
    ]
    if "Ready" not in conditions:
        faults.append("no Ready")
    abnormal = {"Reconciling", "Stalled"} & conditions.keys()
    if len(abnormal) > 1:
        faults.append("Reconciling and Stalled at once")
    if bool(abnormal) == (conditions.get("Ready", {}).get("status") == "True"):
        faults.append(f"Ready and {sorted(abnormal)} contradict each other")
    for one in conditions.values():
        if one.get("observedGeneration") != status.get("observedGeneration"):
            faults.append(f"{one['type']} was judged from another generation")
        if not (one.get("reason") and one.get("message") and one.get("lastTransitionTime")):
            faults.append(f"{one['type']} lacks reason, message or time")
    return faults


def argo(obj: Json) -> tuple[str, str]:
    """Return Argo CD's health status and message of a live object."""
    lua = lua51.LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
    lua.globals().obj = _table(lua, obj)
    # Argo CD opens base, table, string, math and a safe os only (util/lua, read 2026-11-21).
    for name in ("io", "debug", "package", "require", "dofile", "loadfile", "python"):
        lua.globals()[name] = None
    found = lua.execute(HEALTH.read_text("utf-8"))
    return str(found["status"]), str(found["message"])


def _table(lua: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return lua.table_from({key: _table(lua, inner) for key, inner in value.items()})
    if isinstance(value, list):
        return lua.table_from([_table(lua, inner) for inner in value])
    return value
