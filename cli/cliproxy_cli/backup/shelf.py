"""A folder of backups: their names, writing one whole or not at all, which ones have to go.

Files that were damaged never count as kept, and are never removed: a person shall look at them.
"""

import contextlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cliproxy_cli.backup.content import Content
from cliproxy_cli.backup.envelope import Header, read_header
from cliproxy_cli.backup.faults import BackupFault

SUFFIX: Final = ".backup"
MODE: Final = 0o600
MAX_FILE_BYTES: Final = 512 * 1024 * 1024
_NAME: Final = re.compile(
    r"cliproxy_([a-z0-9-]+|ALL)_([0-9]{8}T[0-9]{6}Z)_([0-9a-f]{8,64})\.backup", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Volume:
    """One file of the folder."""

    path: Path
    header: Header | None
    """None: it cannot be read, `fault` says why."""
    fault: str = ""
    size_bytes: int = 0
    written_ns: int = 0

    @property
    def order(self) -> tuple[str, int, str]:
        """Sorts by age, oldest first: by the name's instant, since copying a file changes its own."""
        found = _NAME.fullmatch(self.path.name)
        return (found[2] if found else "", self.written_ns, self.path.name)


def file_name(content: Content) -> str:
    """Return the name of a new file: scope, instant, id."""
    moment = re.sub(r"[-:]", "", content.taken_at)
    return f"cliproxy_{content.scope}_{moment}_{content.id[:16]}{SUFFIX}"


def write_file(path: Path, packed: bytes) -> None:
    """Write a file whole or not at all, for its owner's eyes only; durable when this returns.

    Raises:
        BackupFault: it could not be written; nothing is left behind.

    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(packed)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise BackupFault(f"{path}: {error.strerror or error}") from None


def read_file(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        BackupFault: it cannot be read, or is larger than any backup.

    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BackupFault(f"{path}: larger than {MAX_FILE_BYTES} bytes, so no backup of ours")
        return path.read_bytes()
    except OSError as error:
        raise BackupFault(f"{path}: {error.strerror or error}") from None


def volumes(folder: Path) -> list[Volume]:
    """Return the folder's backups, oldest first; other files are not looked at.

    Raises:
        BackupFault: the folder cannot be read.

    """
    try:
        paths = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    except OSError as error:
        raise BackupFault(f"{folder}: {error.strerror or error}") from None
    return sorted((_volume(path) for path in paths), key=lambda volume: volume.order)


def surplus(found: Iterable[Volume], *, keep: int, scope: str | None = None) -> list[Volume]:
    """Return the intact backups beyond the newest `keep` of each scope (or of one scope), oldest first.

    Empty ones are counted by themselves: the day all objects are gone must not wear out what could help.
    """
    by_scope: dict[tuple[str, bool], list[Volume]] = {}
    for volume in found:
        if volume.header is not None and scope in (None, volume.header.scope):
            by_scope.setdefault((volume.header.scope, volume.header.objects > 0), []).append(volume)
    old: list[Volume] = []
    for group in by_scope.values():
        old += sorted(group, key=_order)[: max(0, len(group) - keep)]
    return sorted(old, key=_order)


def _order(volume: Volume) -> tuple[str, int, str]:
    return volume.order


def _volume(path: Path) -> Volume:
    try:
        content = read_file(path)
        header = read_header(content)
        return Volume(path, header, size_bytes=len(content), written_ns=path.stat().st_mtime_ns)
    except (BackupFault, OSError) as fault:
        return Volume(path, None, str(fault))


def _sync_folder(folder: Path) -> None:
    """Make the new name durable; some network file systems cannot, and need not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
