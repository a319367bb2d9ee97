"""Lay out a pod's volumes as folders on this machine: emptyDir and secret.

Reading the Secret is left to `pod`; that a container learns the place by a variable is `environment`'s.
"""

from __future__ import annotations

import base64
from pathlib import Path

from cliproxy_dev.kube import Json
from cliproxy_dev.nodeagent.environment import Unresolvable


def secret_name(volume: Json) -> str | None:
    """Return the name of the Secret that a volume shows, None for other kinds."""
    return str(volume["secret"]["secretName"]) if "secret" in volume else None


def lay_out(volume: Json, secret: Json | None, place: Path) -> None:
    """Make the volume's folder at `place`. Raises `Unresolvable` for what is missing or not known.

    `secret` is the Secret of `secret_name`, None when it does not exist.
    """
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    if "secret" in volume:
        _write_secret(volume["secret"], secret, place)
    elif "emptyDir" not in volume:
        kind = next((key for key in volume if key != "name"), "this kind")
        raise Unresolvable(f"the local node agent does not know {kind} (volume {volume['name']})")


def _write_secret(source: Json, secret: Json | None, place: Path) -> None:
    optional = bool(source.get("optional"))
    if secret is None and not optional:
        raise Unresolvable(f'secret "{source["secretName"]}" not found')
    data = (secret or {}).get("data") or {}
    files = {item["key"]: item["path"] for item in source.get("items") or []} or {key: key for key in data}
    for key, name in files.items():
        if key in data:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(base64.b64decode(data[key]))
        elif not optional:
            raise Unresolvable(f"references non-existent secret key: {key}")
