"""Lay out a pod's volumes as folders on this machine: emptyDir, secret and claims.

Reading the Secret is left to `pod`; that a container learns the place by a variable is `environment`'s.
"""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cliproxy_dev.kube import Json
from cliproxy_dev.nodeagent.environment import Unresolvable


def secret_name(volume: Json) -> str | None:
    """Return the name of the Secret that a volume shows, None for other kinds."""
    return str(volume["secret"]["secretName"]) if "secret" in volume else None


def claim_name(volume: Json) -> str | None:
    """Return the name of the PersistentVolumeClaim that a volume shows, None for other kinds."""
    return str(volume["persistentVolumeClaim"]["claimName"]) if "persistentVolumeClaim" in volume else None


def lay_out(volume: Json, secret: Json | None, place: Path, *, owner: int | None = None) -> None:
    """Make the volume's folder at `place`, or bring it up to date. Raises `Unresolvable` for what is missing.

    `secret` is the Secret of `secret_name`, None when it does not exist. What is laid out is given to the
    user id `owner`, as `fsGroup` would; None leaves it ours.
    """
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    if "secret" in volume:
        _write_secret(volume["secret"], secret, place, owner)
    elif not volume.keys() & {"emptyDir", "persistentVolumeClaim"}:
        kind = next((key for key in volume if key != "name"), "this kind")
        raise Unresolvable(f"the local node agent does not know {kind} (volume {volume['name']})")
    hand_over(place, owner)


def _write_secret(source: Json, secret: Json | None, place: Path, owner: int | None) -> None:
    optional = bool(source.get("optional"))
    if secret is None and not optional:
        raise Unresolvable(f'secret "{source["secretName"]}" not found')
    data = (secret or {}).get("data") or {}
    files = {item["key"]: item["path"] for item in source.get("items") or []} or {key: key for key in data}
    wanted: dict[str, bytes] = {}
    for key, name in files.items():
        if key in data:
            wanted[name] = base64.b64decode(data[key])
        elif not optional:
            raise Unresolvable(f"references non-existent secret key: {key}")
    _replace(place, wanted, owner)


def _replace(place: Path, wanted: Mapping[str, bytes], owner: int | None) -> None:
    """Show these files at once, as kubelet does: names point through `..data`, which is swapped whole.

    Source: kubernetes pkg/volume/util/atomic_writer.go, read 2026-11-21.
    """
    link = place / "..data"
    if link.exists() and _content(link) == wanted:
        return
    version = Path(tempfile.mkdtemp(prefix="..", dir=place))
    for name, content in wanted.items():
        (version / name).parent.mkdir(parents=True, exist_ok=True)
        (version / name).write_bytes(content)
    for path in (version, *version.rglob("*")):
        hand_over(path, owner)
    before = link.resolve() if link.exists() else None
    (place / "..new").symlink_to(version.name)
    (place / "..new").replace(link)
    tops = {Path(name).parts[0] for name in wanted}
    for top in tops:
        if not (place / top).is_symlink():
            (place / top).symlink_to(Path("..data") / top)
    for path in place.iterdir():
        if not path.name.startswith("..") and path.name not in tops:
            path.unlink()
    if before is not None:
        shutil.rmtree(before, ignore_errors=True)


def hand_over(path: Path, owner: int | None) -> None:
    """Give a file or folder to this user id; None leaves it ours."""
    if owner is not None:
        os.chown(path, owner, owner, follow_symlinks=False)


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
