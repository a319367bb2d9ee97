"""Where the control plane's programs are looked for, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliproxy_dev.controlplane.find import (
    CACHE_DEBIAN,
    CACHE_RELEASE,
    Unavailable,
    cache_dir,
    cached,
    find,
    require,
    wants_existing_cluster,
)


def put_pair(directory: Path, *programs: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for program in programs or ("kube-apiserver", "etcd"):
        (directory / program).touch(mode=0o755)
    return directory


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"CLIPROXY_CACHE": str(tmp_path / "cache"), "PATH": str(tmp_path / "bin")}


def test_the_order_is_assets_path_release_debian(env: dict[str, str], tmp_path: Path) -> None:
    cache = cache_dir(env)
    places = {
        "debian": put_pair(cached(cache, CACHE_DEBIAN)),
        "release": put_pair(cached(cache, CACHE_RELEASE)),
        "path": put_pair(tmp_path / "bin"),
        "assets": put_pair(tmp_path / "assets"),
    }
    seen = []
    for add in ({"PATH": "/nowhere"}, {}, {"KUBEBUILDER_ASSETS": str(places["assets"])}):
        pair = find(env | add)
        assert pair is not None
        assert pair.etcd.parent == pair.kube_apiserver.parent
        seen.append(pair.etcd.parent)

    assert seen == [places["release"], places["path"], places["assets"]]
    (places["release"] / "etcd").unlink()
    pair = find(env | {"PATH": "/nowhere"})
    assert pair is not None
    assert pair.etcd.parent == places["debian"]


def test_half_a_pair_is_no_pair(env: dict[str, str], tmp_path: Path) -> None:
    put_pair(tmp_path / "bin", "etcd")
    put_pair(cached(cache_dir(env), CACHE_DEBIAN), "kube-apiserver")

    assert find(env) is None


def test_a_program_that_cannot_be_run_does_not_count(env: dict[str, str]) -> None:
    (put_pair(cached(cache_dir(env), CACHE_DEBIAN)) / "etcd").chmod(0o644)

    assert find(env) is None


def test_assets_without_the_programs_are_an_error_not_a_fallback(env: dict[str, str], tmp_path: Path) -> None:
    put_pair(tmp_path / "bin")
    put_pair(tmp_path / "assets", "etcd")

    with pytest.raises(Unavailable, match=r"no executable kube-apiserver in it\.\nPoint it at"):
        find(env | {"KUBEBUILDER_ASSETS": str(tmp_path / "assets")})


def test_require_names_the_command_and_both_ways_round(env: dict[str, str]) -> None:
    with pytest.raises(Unavailable) as refused:
        require(env)

    for words in ("cliproxy_dev.controlplane prepare", "KUBEBUILDER_ASSETS=DIR", "USE_EXISTING_CLUSTER=1"):
        assert words in str(refused.value)


def test_the_cache_is_where_the_user_says(tmp_path: Path) -> None:
    home = Path.home() / ".cache" / "cliproxy-operator"

    assert cache_dir({"CLIPROXY_CACHE": str(tmp_path), "XDG_CACHE_HOME": "/x"}) == tmp_path
    assert cache_dir({"XDG_CACHE_HOME": "/x"}) == Path("/x/cliproxy-operator")
    assert cache_dir({"XDG_CACHE_HOME": ""}) == home
    assert cache_dir({}) == home


@pytest.mark.parametrize(("value", "wanted"), [("1", True), ("true", True), ("", False), ("0", False)])
def test_an_existing_cluster_must_be_asked_for(value: str, *, wanted: bool) -> None:
    assert wants_existing_cluster({"USE_EXISTING_CLUSTER": value, "KUBECONFIG": "f"}) is wanted
    assert wants_existing_cluster({"KUBECONFIG": "f"}) is False


def test_an_existing_cluster_must_be_named() -> None:
    with pytest.raises(Unavailable, match="KUBECONFIG"):
        wants_existing_cluster({"USE_EXISTING_CLUSTER": "1"})


def test_a_folder_that_may_not_be_looked_into_holds_nothing(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")  # what stat says in another user's home

    monkeypatch.setattr(Path, "is_file", forbidden)

    assert find(env) is None


def test_a_user_without_a_home_is_told_to_name_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(Unavailable, match="CLIPROXY_CACHE=DIR"):
        cache_dir({})
