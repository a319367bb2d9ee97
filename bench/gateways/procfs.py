"""CPU time and memory of a process and its children, from /proc.

`parse_*` are pure; `Usage.of` reads. Linux only, like the pinning that it belongs to.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Stat:
    """What matters of /proc/PID/stat."""

    parent: int
    cpu_ticks: int
    """User and system time of the process, and of the children that it has waited for."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process tree has used."""

    cpu_s: float
    memory_bytes: int
    """Resident memory; pages that processes share count in each."""

    @classmethod
    def of(cls, pid: int) -> Self:
        """Return what the process and its living descendants have used so far."""
        stats = {int(path.name): stat for path in _PROC.iterdir() if (stat := _stat(path)) is not None}
        tree = descendants(pid, stats)
        ticks = sum(stats[member].cpu_ticks for member in tree)
        memory = sum(parse_resident_bytes(_read(_PROC / str(member) / "status")) for member in tree)
        return cls(ticks / os.sysconf("SC_CLK_TCK"), memory)


def parse_stat(text: str) -> Stat:
    """Read /proc/PID/stat (proc(5)); the command's name may hold blanks and brackets."""
    fields = text.rpartition(")")[2].split()
    return Stat(parent=int(fields[1]), cpu_ticks=sum(map(int, fields[11:15])))


def parse_resident_bytes(text: str) -> int:
    """Read VmRSS of /proc/PID/status; 0 for a process that has ended."""
    for line in text.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def descendants(pid: int, stats: Mapping[int, Stat]) -> set[int]:
    """Return the process, if it lives, and all below it."""
    tree = {pid} & stats.keys()
    while grown := {child for child, stat in stats.items() if stat.parent in tree} - tree:
        tree |= grown
    return tree


def _stat(path: Path) -> Stat | None:
    text = _read(path / "stat") if path.name.isdigit() else ""
    return parse_stat(text) if text else None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
