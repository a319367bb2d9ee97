"""Look for etcd and kube-apiserver that this machine has already.

Order: `KUBEBUILDER_ASSETS`, `PATH`, the cache. Obtaining what is not there is left to `prepare`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("kube-apiserver", "etcd")
RELEASE = "1.30.0"  # of the pinned download; in the cache's folder name, so that a new pin is fetched
CACHE_RELEASE = f"release-{RELEASE}"
CACHE_DEBIAN = "debian"

WAYS_ROUND = """\
Two ways round it:
  1. KUBEBUILDER_ASSETS=DIR, a directory that holds kube-apiserver and etcd
     (`setup-envtest use -p path` prints one; a release archive of Kubernetes and of etcd has them too)
  2. `USE_EXISTING_CLUSTER=1 KUBECONFIG=FILE make test`, a test cluster in which you may create CRDs and
     namespaces; to try it on a cluster without `make run`: docs/start.md, "On any cluster\""""


OTHER_CACHE = "CLIPROXY_CACHE=DIR says where else to keep what is made once (1 GB)"


class Unavailable(RuntimeError):
    """There is no control plane and none can be had; the message says what is missing and what to do."""


class CannotObtain(RuntimeError):
    """One way of obtaining the programs does not work here; the message's first line says why."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """The two programs of a control plane and, for people, where they came from."""

    kube_apiserver: Path
    etcd: Path
    origin: str


def wants_existing_cluster(env: Mapping[str, str]) -> bool:
    """Say whether the user chose a cluster of theirs. Raises `Unavailable` if they forgot to say which."""
    if env.get("USE_EXISTING_CLUSTER", "").lower() not in {"1", "true", "yes"}:
        return False
    if not env.get("KUBECONFIG"):
        raise Unavailable("USE_EXISTING_CLUSTER is set, but KUBECONFIG does not name the cluster's file.")
    return True


def cache_dir(env: Mapping[str, str]) -> Path:
    """Return where things that are costly to make are kept; not created here.

    Raises `Unavailable` when nothing says where.
    """
    if chosen := env.get("CLIPROXY_CACHE"):
        return Path(chosen).expanduser()
    if base := env.get("XDG_CACHE_HOME"):
        return Path(base) / "cliproxy-operator"
    try:
        return Path.home() / ".cache" / "cliproxy-operator"
    except RuntimeError as error:
        raise Unavailable(f"This user has no home, and HOME is not set: {OTHER_CACHE}.") from error


def cached(cache: Path, origin: str) -> Path:
    """Return the directory that a finished pair from `origin` has in the cache."""
    return cache / "controlplane" / origin


def find(env: Mapping[str, str]) -> Binaries | None:
    """Return the first complete pair, None if there is none.

    Raises `Unavailable` when `KUBEBUILDER_ASSETS` names a directory without the pair: the user asked for
    it, so quietly taking another one would mislead.
    """
    if assets := env.get("KUBEBUILDER_ASSETS"):
        return _from_assets(Path(assets).expanduser())
    on_path = [shutil.which(program, path=env.get("PATH", os.defpath)) for program in PROGRAMS]
    if on_path[0] is not None and on_path[1] is not None:
        return Binaries(kube_apiserver=Path(on_path[0]), etcd=Path(on_path[1]), origin="PATH")
    cache = cache_dir(env)
    for origin in (CACHE_RELEASE, CACHE_DEBIAN):  # newest first: a server with CEL is worth more
        if (pair := pair_in(cached(cache, origin), f"cache ({origin})")) is not None:
            return pair
    return None


def require(env: Mapping[str, str]) -> Binaries:
    """Return the first complete pair. Raises `Unavailable`, naming the command that obtains one."""
    if (pair := find(env)) is None:
        raise Unavailable(
            "There is no kube-apiserver and etcd here yet. Obtain them once (make run and make test do):\n"
            f"  python -m cliproxy_dev.controlplane prepare\n{WAYS_ROUND}"
        )
    return pair


def pair_in(directory: Path, origin: str) -> Binaries | None:
    """Return the pair that lies in `directory`, None unless both are there and executable."""
    server, etcd = (directory / program for program in PROGRAMS)
    # In this order: a folder that may not be looked into is one without them.
    if not all(os.access(path, os.X_OK) and path.is_file() for path in (server, etcd)):
        return None
    return Binaries(kube_apiserver=server, etcd=etcd, origin=origin)


def _from_assets(directory: Path) -> Binaries:
    if (pair := pair_in(directory, "KUBEBUILDER_ASSETS")) is not None:
        return pair
    missing = [program for program in PROGRAMS if not os.access(directory / program, os.X_OK)]
    raise Unavailable(
        f"KUBEBUILDER_ASSETS is {directory}, but there is no executable {' and no '.join(missing)} in it.\n"
        "Point it at a directory with both, or unset it."
    )
