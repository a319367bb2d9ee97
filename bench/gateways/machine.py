"""What machine this is, for whoever compares figures. `parse_*` are pure."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

from gateways import interpreter


def describe() -> dict[str, str]:
    """Return facts by name."""
    facts = {
        "processor": parse_processor(_read("/proc/cpuinfo")) or platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": parse_memory(_read("/proc/meminfo")),
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": interpreter.describe(),
    }
    if node := shutil.which("node"):
        facts["Node"] = subprocess.run(
            [node, "--version"], capture_output=True, text=True, check=False
        ).stdout
    return {name: fact.strip() for name, fact in facts.items() if fact.strip()}


def load_average() -> float:
    """Return how many processes wanted to run in the last minute."""
    return os.getloadavg()[0]


def parse_processor(cpuinfo: str) -> str:
    """Return the processor's name from /proc/cpuinfo, or nothing."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return " ".join(value.split())
    return ""


def parse_memory(meminfo: str) -> str:
    """Return the size of the memory from /proc/meminfo, or nothing."""
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return f"{int(line.split()[1]) / 1024**2:.0f} GiB"
    return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""
