"""Command line of `make audit`: hadolint, shellcheck and checkov on what we ship; exit code 1 if one objects.

checkov and shellcheck are installed once, from a lock of their own, into the cache: they are heavy, and no
test needs them. What may be found and why is `exceptions`'.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from cliproxy_dev.audit.exceptions import Finding, judge
from cliproxy_dev.chart.values import CHART
from cliproxy_dev.controlplane.find import CannotObtain, cache_dir
from cliproxy_dev.controlplane.helm import helm
from cliproxy_dev.controlplane.prepare import only_one
from cliproxy_dev.controlplane.progress import Progress

ROOT: Final = Path(__file__).resolve().parents[3]
LOCK: Final = ROOT / "requirements" / "audit.txt"
DOCKERFILES: Final = ("Dockerfile.operator", "Dockerfile.sidecar")
NOT_OURS: Final = frozenset({".git", ".venv", ".run", "build"})
VALUES: Final = ("gateway.enabled=true", "backup.enabled=true", "networkPolicy.enabled=true")
KUBE_VERSION: Final = "1.31.0"


class Objection(RuntimeError):
    """A judge objects; the message is what it says."""


def main() -> int:
    """Ask each judge; return the exit code."""
    progress, code = Progress(), 0
    try:
        tools = _tools(progress)
        for judged in (_hadolint(), _shellcheck(tools), _checkov(tools)):
            try:
                for line in judged:
                    print(line)
            except Objection as error:
                print(error, file=sys.stderr)
                code = 1
    except CannotObtain as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return code


def _hadolint() -> Iterator[str]:
    _ask([str(Path(sys.executable).with_name("hadolint")), *DOCKERFILES])
    yield f"hadolint: nothing to say of {' and '.join(DOCKERFILES)}"


def _shellcheck(tools: Path) -> Iterator[str]:
    scripts = [str(path.relative_to(ROOT)) for path in _scripts()]
    _ask([str(tools / "shellcheck"), *scripts])
    yield f"shellcheck: nothing to say of {', '.join(scripts)}"


def _checkov(tools: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "chart.yaml").write_text(_rendered(), "utf-8")
        for file in DOCKERFILES:
            shutil.copy(ROOT / file, folder / file)
        options = ["--directory", name, "--framework", "kubernetes", "dockerfile"]
        words = [
            str(tools / "python"),
            "-m",
            "checkov.main",
            *options,
            "--output",
            "json",
            "--quiet",
            "--compact",
        ]
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={**os.environ, "LOG_LEVEL": "ERROR"},
        )
    try:
        told = json.loads(done.stdout)
    except ValueError:
        raise Objection(f"checkov: {done.stdout[-1000:]}{done.stderr[-1000:]}") from None
    reports: list[dict[str, Any]] = told if isinstance(told, list) else [told]
    findings = [
        Finding(one["check_id"], one["resource"].removeprefix("/"))
        for report in reports
        for one in report["results"]["failed_checks"]
    ]
    unargued, idle = judge(findings)
    if unargued or idle:
        words = [f"checkov: {one.check} {one.where}" for one in unargued]
        raise Objection(
            "\n".join(words + [f"checkov: {one} is argued for but found nowhere" for one in idle])
        )
    passed = sum(report["summary"]["passed"] for report in reports)
    yield f"checkov: {passed} checks passed, {len(findings)} failed as docs/install.md argues"


def _rendered() -> str:
    sets = [f"--set={one}" for one in VALUES]
    version = f"--kube-version={KUBE_VERSION}"
    words = [str(helm(os.environ)), "template", "cliproxy-operator", str(CHART), version, *sets]
    return _ask([*words, "--namespace=cliproxy-system"])


def _scripts() -> Iterator[Path]:
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(set(folders) - NOT_OURS)
        for path in (Path(folder, name) for name in sorted(files)):
            if path.suffix in {".sh", ""} and not path.is_symlink():
                with path.open("rb") as file:
                    first = file.readline(80)
                if first.startswith(b"#!") and first.split(b"/")[-1].split()[-1] in {b"sh", b"bash"}:
                    yield path


def _ask(words: Sequence[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        raise Objection(f"{Path(words[0]).name}: {done.stdout.strip()}\n{done.stderr.strip()}")
    return done.stdout


def _tools(progress: Progress) -> Path:
    """Return the folder with the programs of the lock, installed unless they are. Raises `CannotObtain`."""
    folder = cache_dir(os.environ) / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(LOCK.read_bytes() + repr(sys.version_info[:2]).encode()).hexdigest()
    target = folder / f"audit-{digest[:12]}"
    with only_one(folder / "lock-audit", "the audit's tools", progress):
        if not (target / "finished").is_file():
            with progress.step("installing checkov and shellcheck"):
                shutil.rmtree(target, ignore_errors=True)
                _install(target)
            (target / "finished").touch()
    return target / "bin"


def _install(target: Path) -> None:
    pip = [str(target / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
    for words in ([sys.executable, "-m", "venv", str(target)], [*pip, "--requirement", str(LOCK)]):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotObtain(f"the audit's tools: {(done.stdout + done.stderr).strip()[-1500:]}")


if __name__ == "__main__":
    sys.exit(main())
