"""Pure: a Lease object as `election.py` understands it, and back."""

from datetime import datetime
from typing import Any

from cliproxy_operator.clock import rfc3339_micro
from cliproxy_operator.election import Record
from cliproxy_operator.kinds import LEASE


def record(raw: dict[str, Any]) -> Record:
    """Return what a Lease says; a field that is missing says nothing."""
    spec = raw.get("spec") or {}
    return Record(
        holder=str(spec.get("holderIdentity") or ""),
        transitions=int(spec.get("leaseTransitions") or 0),
        lease_s=float(spec.get("leaseDurationSeconds") or 0),
        version=str(raw["metadata"].get("resourceVersion", "")),
    )


def body(wanted: Record, namespace: str, name: str, now_utc: datetime) -> dict[str, Any]:
    """Return the object to write; with a version it replaces exactly that version."""
    metadata = {"name": name, "namespace": namespace}
    if wanted.version:
        metadata["resourceVersion"] = wanted.version
    spec = {
        "holderIdentity": wanted.holder,
        "leaseDurationSeconds": max(1, round(wanted.lease_s)),
        "leaseTransitions": wanted.transitions,
        "renewTime": rfc3339_micro(now_utc),
    }
    return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}
