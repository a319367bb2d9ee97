"""Find the control plane's programs, or obtain them: the one place that decides the order.

Order: what is there (`find`), the pinned release download (`download`), Debian's source (`debian`).
Only one run at a time obtains; others wait for it and take its result. The cache sees finished pairs only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from cliproxy_dev.controlplane import debian, download
from cliproxy_dev.controlplane.find import (
    CACHE_DEBIAN,
    CACHE_RELEASE,
    OTHER_CACHE,
    WAYS_ROUND,
    Binaries,
    CannotObtain,
    Unavailable,
    cache_dir,
    cached,
    find,
    pair_in,
)
from cliproxy_dev.controlplane.progress import Progress

# Fills its first argument, an empty directory of the cache; the second is scratch space, removed afterwards.
Obtain = Callable[[Path, Path], None]


def prepare(env: Mapping[str, str], progress: Progress) -> Binaries:
    """Return a complete pair of programs, obtaining it when there is none. Raises `Unavailable`."""
    if (pair := find(env)) is not None:
        return pair
    cache = cache_dir(env)
    try:
        (cache / "controlplane").mkdir(parents=True, exist_ok=True)
        with only_one(cache / "controlplane" / "lock", "kube-apiserver", progress):
            if (pair := find(env)) is not None:  # another run obtained it while we waited
                return pair
            return _obtain(cache, env, progress)
    except OSError as error:
        raise Unavailable(
            f"The cache {cache} cannot be written: {error}\n{OTHER_CACHE}.\n{WAYS_ROUND}"
        ) from error


def _obtain(cache: Path, env: Mapping[str, str], progress: Progress) -> Binaries:
    log_path = cache / "controlplane" / "build.log"
    ways: list[tuple[str, Obtain]] = [
        (CACHE_RELEASE, lambda into, _scratch: download.download(into, progress)),
        (CACHE_DEBIAN, lambda into, scratch: debian.build(into, scratch, log_path, env, progress)),
    ]
    progress.say("no kube-apiserver and etcd on this machine yet; this happens once")
    reasons = [f"KUBEBUILDER_ASSETS is not set, PATH and the cache ({cache}) do not have both programs"]
    for origin, obtain in ways:
        try:
            pair = _into_cache(cached(cache, origin), origin, obtain)
        except (CannotObtain, OSError) as error:  # such as a disk that is full
            why = str(error) if isinstance(error, CannotObtain) else f"{origin}: {error}"
            progress.say(why.splitlines()[0])
            reasons.append(why)
        else:
            progress.say(f"kube-apiserver and etcd are ready in {pair.etcd.parent}")
            log_path.unlink(missing_ok=True)
            return pair
    listed = "\n".join(f"  - {reason}" for reason in reasons)
    raise Unavailable(
        f"There is no kube-apiserver and etcd here, and none can be had:\n{listed}\n{WAYS_ROUND}"
    )


def _into_cache(target: Path, origin: str, obtain: Obtain) -> Binaries:
    """Let `obtain` fill a new directory and move that to `target` at once when it is complete."""
    for stale in target.parent.glob(
        "work-*"
    ):  # a run that was killed; we hold the lock, so nobody works there
        shutil.rmtree(stale, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix="work-", dir=target.parent))
    try:
        finished, scratch = work / "finished", work / "scratch"
        finished.mkdir()
        scratch.mkdir()
        obtain(finished, scratch)
        if pair_in(finished, origin) is None:
            raise CannotObtain(f"{origin}: the result is incomplete")
        shutil.rmtree(target, ignore_errors=True)
        finished.rename(target)
    finally:
        remove_tree(work)
    pair = pair_in(target, f"cache ({origin})")
    if pair is None:
        raise CannotObtain(f"{origin}: {target} vanished")
    return pair


def remove_tree(folder: Path) -> None:
    """Remove a build's scratch, in which Go leaves read-only folders."""

    def make_writable(function: Callable[..., object], path: str, _error: object) -> None:
        os.chmod(Path(path).parent, 0o700)  # noqa: PTH101 -- shutil hands over strings
        with contextlib.suppress(OSError):
            function(path)

    shutil.rmtree(folder, onerror=make_writable)


@contextlib.contextmanager
def only_one(lock_path: Path, what: str, progress: Progress) -> Iterator[None]:
    """Let one run at a time obtain `what`; others wait here."""
    with lock_path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step(f"another run is obtaining {what}, waiting for it"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield
