"""Make `.venv` from the lock: `python3 dev/bootstrap.py [--this-python]`. Quick when nothing changed.

Runs on the system's own Python with its standard library only; everything after it runs inside `.venv`.
`--this-python`: take the one that runs this, even if it was built without optimisation and a better is there.
Obtaining etcd and kube-apiserver is left to `python -m cliproxy_dev.controlplane prepare`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST_PYTHON = (3, 11)
DISTRIBUTION_PYTHON = Path("/usr/bin/python3")
CAN_MAKE_VENV = (
    f"import ensurepip, sys, venv; sys.exit(not {OLDEST_PYTHON} <= sys.version_info[:2])"  # for `python -c`
)
HEARTBEAT_S = 5.0
TAIL_LINES = 25
# What the editable install depends on: the project's metadata and its version.
INPUTS = ("requirements/dev.txt", "pyproject.toml", "api/cliproxy_api/version.py", "dev/bootstrap.py")
# These would let packages from outside look as if the lock had brought them, or send them elsewhere.
FOREIGN_VARIABLES = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PIP_USER",
    "PIP_TARGET",
    "PIP_PREFIX",
    "__PYVENV_LAUNCHER__",
)
OS_RELEASE = Path("/etc/os-release")


class CannotPrepare(RuntimeError):
    """The environment cannot be made; the message says what is missing and what to do."""


def main() -> int:
    """Make or refresh `.venv`; returns the exit code."""
    try:
        if "--this-python" not in sys.argv[1:] and (better := better_python()) is not None:
            os.execv(better, [str(better), __file__, "--this-python"])  # noqa: S606 -- no shell is wanted
        check_python()
        bootstrap(ROOT)
    except CannotPrepare as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"\n.venv cannot be made in {ROOT}: {error}\n"
            "It takes a folder of yours with 1 GB free: clone there.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def check_python() -> None:
    """Raise `CannotPrepare` when this Python is too old for the project."""
    if sys.version_info < OLDEST_PYTHON:
        raise CannotPrepare(
            f"Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or later is needed, "
            f"this is {sys.version.split()[0]}.\n"
            "Point make at another one: make PYTHON=/path/to/python3.12 run"
        )


def better_python() -> Path | None:
    """Return the distribution's Python if ours is a plain build from source, as pyenv makes by default.

    Without profile-guided optimisation pure Python takes 1.65 times as long (3.11 on Debian 12): tests would
    wait for it, and benchmarks would say of us what is true of no production image.
    """
    options = sysconfig.get_config_var("CONFIG_ARGS") or ""
    is_distribution = Path(sys.executable).resolve() == DISTRIBUTION_PYTHON.resolve()
    if is_distribution or "--enable-optimizations" in options:
        return None
    try:
        answer = subprocess.run([DISTRIBUTION_PYTHON, "-c", CAN_MAKE_VENV], capture_output=True, check=False)
    except OSError:
        return None
    return DISTRIBUTION_PYTHON if answer.returncode == 0 else None


def bootstrap(root: Path) -> None:
    """Bring `root/.venv` in line with the lock. Raises `CannotPrepare`."""
    venv = root / ".venv"
    stamp = venv / "bootstrap.stamp"
    wanted = fingerprint(root)
    if is_current(venv, stamp, wanted):
        return
    with alone(root):
        if is_current(venv, stamp, wanted):  # another make did it while we waited
            return
        progress = Progress()
        stamp.unlink(missing_ok=True)  # whatever happens from here on, a half-made .venv is not current
        if not works(venv):
            make_venv(venv, progress)
        install(root, venv, progress)
        stamp.write_text(wanted, "ascii")
        progress.say(".venv is ready")


def fingerprint(root: Path) -> str:
    """Return a digest of everything `.venv` is made from."""
    digest = hashlib.sha256(repr((sys.version_info[:2], sys.base_prefix)).encode())
    for name in INPUTS:
        digest.update(b"\0" + (root / name).read_bytes())
    return digest.hexdigest()


def is_current(venv: Path, stamp: Path, wanted: str) -> bool:
    """Say whether `.venv` was finished for exactly these inputs."""
    try:
        return stamp.read_text("ascii") == wanted and (venv / "bin" / "python").exists()
    except OSError:
        return False


def works(venv: Path) -> bool:
    """Say whether there is a `.venv` of this very Python with pip in it."""
    this = (*sys.version_info[:2], sys.base_prefix)
    check = f"import pip, sys; sys.exit((*sys.version_info[:2], sys.base_prefix) != {this!r})"
    try:
        answer = subprocess.run([venv / "bin" / "python", "-c", check], capture_output=True, check=False)
    except OSError:
        return False
    return answer.returncode == 0


# ---------------------------------------------------------------------- the steps


def make_venv(venv: Path, progress: Progress) -> None:
    """Create an empty `.venv`, installing Debian's venv package first where that is needed and possible."""
    if not can_make_venv():
        install_debian_venv(progress)
    shutil.rmtree(venv, ignore_errors=True)
    with progress.step("making .venv"):
        run([sys.executable, "-m", "venv", str(venv)], venv.with_suffix(".log"))
    venv.with_suffix(".log").unlink(missing_ok=True)


def can_make_venv() -> bool:
    """Say whether this Python has venv and ensurepip; Debian ships them in a package of their own."""
    importlib.invalidate_caches()
    return all(importlib.util.find_spec(module) is not None for module in ("venv", "ensurepip"))


def install_debian_venv(progress: Progress) -> None:
    """Install python3.X-venv by apt as root; anywhere else say what to do."""
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    debian = OS_RELEASE.is_file() and re.search(r"^ID(_LIKE)?=.*debian", OS_RELEASE.read_text(), re.MULTILINE)
    if not debian or shutil.which("apt-get") is None or os.geteuid() != 0:
        raise CannotPrepare(no_venv_message(package))
    apt = ["apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0"]
    log_path = ROOT / ".venv.log"
    with progress.step(f"installing {package}"):
        run([*apt, "update"], log_path, check=False)
        run([*apt, "install", "--no-install-recommends", package], log_path)
    log_path.unlink(missing_ok=True)
    if not can_make_venv():
        raise CannotPrepare(no_venv_message(package))


def no_venv_message(package: str) -> str:
    """Say what is missing and the ways round it."""
    return (
        f"{sys.executable} cannot make virtual environments: its modules venv and ensurepip are missing.\n"
        "Ways round it:\n"
        f"  1. as an administrator: apt-get install {package}   (Debian, Ubuntu; elsewhere python3-venv)\n"
        "  2. another Python that has them (pyenv, conda and uv bring one): make PYTHON=/path/to/python3 run"
    )


def install(root: Path, venv: Path, progress: Progress) -> None:
    """Install the locked packages, checked by hash, and the project itself in place."""
    python, log_path = str(venv / "bin" / "python"), venv / "bootstrap.log"
    lock = root / "requirements" / "dev.txt"
    count = len(re.findall(r"^[A-Za-z0-9]\S*==", lock.read_text("utf-8"), re.MULTILINE))
    pip = [
        python,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--retries=2",
        "--progress-bar=off",
    ]
    log_path.unlink(missing_ok=True)

    def detail() -> str:
        text = log_path.read_text("utf-8", "replace") if log_path.exists() else ""
        if "Installing collected packages" in text:
            return "unpacking them"
        return f"{len(re.findall(r'^(?:Collecting|Requirement)', text, re.MULTILINE))} seen"

    with progress.step(f"installing {count} packages", detail):
        run([*pip, "--require-hashes", "-r", str(lock)], log_path, hint=NO_NETWORK)
    with progress.step("installing the project in place"):
        run([*pip, "--no-deps", "--no-build-isolation", "-e", str(root)], log_path)


NO_NETWORK = """\
If this machine has no way to a package index: bring a directory with the wheels of requirements/dev.txt
(`pip download -r requirements/dev.txt -d DIR` on a machine that has one) and
  PIP_NO_INDEX=1 PIP_FIND_LINKS=DIR make run
or name a mirror: PIP_INDEX_URL=URL make run"""


def run(command: Sequence[str], log_path: Path, *, check: bool = True, hint: str = "") -> None:
    """Run quietly, output to `log_path`; raises `CannotPrepare` with its end when the command fails."""
    env = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
    env |= {"DEBIAN_FRONTEND": "noninteractive", "PYTHONUNBUFFERED": "1"}
    with log_path.open("ab") as log_file:
        code = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=log_file, stderr=subprocess.STDOUT, env=env, check=False
        ).returncode
    if code != 0 and check:
        last = "\n".join(log_path.read_text("utf-8", "replace").splitlines()[-TAIL_LINES:])
        words = " ".join(command)
        raise CannotPrepare(
            f"{words}\nfailed with exit code {code}; the end of {log_path}:\n{last}\n{hint}".rstrip()
        )


# ---------------------------------------------------------------------- what a person sees


class Progress:
    """Prints lines such as `[  12 s] installing 78 packages ...`; repeats a step that takes long."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()  # noqa: TID251 -- the standard library is all there is here

    def say(self, text: str) -> None:
        """Print one line with the elapsed time."""
        elapsed_s = time.monotonic() - self._began_s  # noqa: TID251 -- likewise
        print(f"[{elapsed_s:4.0f} s] {text}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def step(self, text: str, detail: Callable[[], str] | None = None) -> Iterator[None]:
        """Say `text` now and, with `detail()`, every few seconds until the block ends."""
        self.say(f"{text} ...")
        ended = threading.Event()

        def tick() -> None:
            while not ended.wait(HEARTBEAT_S):
                self.say(f"{text}: {detail() if detail is not None else 'still at it'}")

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            ended.set()
            ticker.join()


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the lock on the checkout's folder itself, so that no lock file is left behind."""
    folder = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


if __name__ == "__main__":
    sys.exit(main())
