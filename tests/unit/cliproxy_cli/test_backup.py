"""`cliproxy backup` and `cliproxy restore` against a small API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cliproxy_api.kinds import CUSTOM, NAMESPACE, SECRET
from support.commandline import Ran, StubApi, listed, run

SPEC = {
    "type": "anthropic",
    "credentials": [{"name": "main", "secretRef": {"name": "keys", "key": "key"}}],
    "models": [{"name": "sonnet"}],
}
OBJECT = {
    "metadata": {"name": "claude", "namespace": "team-a", "uid": "u1", "generation": 1},
    "spec": SPEC,
    "status": {"cooldowns": [{"scope": "Provider", "phase": "Cooling", "until": "2999-01-01T00:00:00Z"}]},
}
PROVIDERS = "/apis/cliproxy.io/v1alpha1/namespaces/team-a/llmproviders"
KEYS = "/api/v1/namespaces/team-a/secrets/keys"
SECRET_OBJECT = {"metadata": {"name": "keys", "namespace": "team-a"}, "data": {"key": "cGxhbnRlZA=="}}


def absent(name: str) -> tuple[int, Any]:
    return 404, {"reason": "NotFound", "message": f"{name} not found", "details": {"name": name}}


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    return tmp_path / "shelf"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(b"k" * 32)
    return path


def serve(api: StubApi, *objects: dict[str, Any]) -> None:
    """Serve these providers, and nothing of the other kinds."""
    for resource in CUSTOM:
        for path in (resource.path("team-a"), resource.path()):
            api.objects[path] = listed(*(objects if resource.plural == "llmproviders" else ()))
    api.objects[KEYS] = SECRET_OBJECT


def create(kubeconfig: Path, shelf: Path, *more: str) -> Ran:
    return run("backup", "create", "--output", str(shelf), *more, kubeconfig=kubeconfig)


def only(shelf: Path) -> Path:
    (path,) = shelf.iterdir()
    return path


def lose(api: StubApi) -> None:
    """Let the objects be gone; what is created is taken."""
    api.objects.clear()
    api.refusals[f"{PROVIDERS}/claude"] = absent("claude")
    api.refusals[KEYS] = absent("keys")
    api.objects[PROVIDERS] = {}
    api.objects[SECRET.path("team-a")] = {}


def writes(api: StubApi) -> list[tuple[str, str]]:
    return [(one.method, one.path) for one in api.asked if one.method != "GET"]


def test_create_writes_one_file_verify_and_list_read_it(api: StubApi, kubeconfig: Path, shelf: Path) -> None:
    serve(api, OBJECT)
    made = create(kubeconfig, shelf)
    assert made.code == 0, made.err
    assert "1 objects, 0 Secrets, not sealed" in made.out
    verified = run("backup", "verify", str(only(shelf)), "-o", "json")
    assert verified.code == 0
    assert verified.json["objects"][0]["state"] == ["cooldowns"]
    assert verified.json["missingSecrets"] == ["team-a/keys"]
    (found,) = run("backup", "list", str(shelf), "-o", "json").json
    assert (found["scope"], found["objects"], found["sealed"]) == ("team-a", 1, False)
    table = run("backup", "verify", str(only(shelf)))
    assert "LLMProvider   team-a/claude   valid    cooldowns" in table.out
    assert "team-a/keys" in table.err


def test_nothing_found_removes_no_older_backup(api: StubApi, kubeconfig: Path, shelf: Path) -> None:
    serve(api, OBJECT)
    create(kubeconfig, shelf, "-A")
    serve(api)
    ran = create(kubeconfig, shelf, "-A", "--keep", "1")
    assert ran.code == 1
    assert "not one object in all namespaces" in ran.err
    assert only(shelf).exists()
    full = only(shelf)
    for _ in range(3):
        assert create(kubeconfig, shelf, "-A", "--allow-empty", "--keep", "2").code == 0
    assert len(list(shelf.iterdir())) == 3
    assert full.exists(), "empty ones make room among themselves only"


def test_keep_removes_the_older_ones_of_its_own_scope(api: StubApi, kubeconfig: Path, shelf: Path) -> None:
    serve(api, OBJECT)
    create(kubeconfig, shelf, "-A")
    create(kubeconfig, shelf)
    first = {path.name for path in shelf.iterdir()}
    ran = create(kubeconfig, shelf, "--keep", "1")
    left = {path.name for path in shelf.iterdir()}
    assert len(left) == 2
    assert len(left & first) == 1
    assert "removed" in ran.out
    assert run("backup", "prune", str(shelf), "--keep", "1", "-o", "json").json["removed"] == []
    assert run("backup", "prune", str(shelf), "--keep", "0").code == 2


def test_secrets_need_a_key_and_never_stand_in_the_open(
    api: StubApi, kubeconfig: Path, shelf: Path, key: Path
) -> None:
    serve(api, OBJECT)
    assert "needs a key" in create(kubeconfig, shelf, "--include-secrets").err
    assert not shelf.exists()
    assert create(kubeconfig, shelf, "--include-secrets", "--key-file", str(key)).code == 0
    path = only(shelf)
    assert b"cGxhbnRlZA" not in path.read_bytes()
    assert "--key-file" in run("backup", "verify", str(path)).err
    assert (
        run("backup", "verify", str(path), "--key-file", str(key), "-o", "json").json["missingSecrets"] == []
    )


def test_a_secret_that_is_named_and_missing_is_said(
    api: StubApi, kubeconfig: Path, shelf: Path, key: Path
) -> None:
    serve(api, OBJECT)
    del api.objects[KEYS]
    api.refusals[KEYS] = absent("keys")
    ran = create(kubeconfig, shelf, "--include-secrets", "--key-file", str(key))
    assert ran.code == 0
    assert "Secret team-a/keys is named by an object and does not exist" in ran.err


def test_a_damaged_file_fails_verify_and_list(api: StubApi, kubeconfig: Path, shelf: Path) -> None:
    serve(api, OBJECT)
    create(kubeconfig, shelf)
    path = only(shelf)
    path.write_bytes(path.read_bytes()[:-3])
    ran = run("backup", "verify", str(path))
    assert ran.code == 1
    assert f"{path}: is cut short" in ran.err
    assert run("backup", "list", str(shelf)).code == 1


def test_restore_makes_secrets_first_and_hands_the_state_over(
    api: StubApi, kubeconfig: Path, shelf: Path, key: Path
) -> None:
    serve(api, OBJECT)
    create(kubeconfig, shelf, "--include-secrets", "--key-file", str(key))
    lose(api)
    ran = run("restore", str(only(shelf)), "--key-file", str(key), kubeconfig=kubeconfig)
    assert ran.code == 0, ran.err
    assert writes(api) == [("POST", SECRET.path("team-a")), ("POST", PROVIDERS)]
    assert "cliproxy.io/restore" in api.asked[-1].body["metadata"]["annotations"]
    assert ran.rows[1] == ["Secret", "team-a/keys", "created", "-"]
    assert ran.rows[2] == ["LLMProvider", "team-a/claude", "created", "restored"]


def test_a_dry_run_lets_the_server_judge(api: StubApi, kubeconfig: Path, shelf: Path) -> None:
    serve(api, OBJECT)
    create(kubeconfig, shelf)
    lose(api)
    ran = run("restore", str(only(shelf)), "--dry-run", kubeconfig=kubeconfig)
    assert [one.query.get("dryRun") for one in api.asked if one.method != "GET"] == ["All"]
    assert "nothing was changed" in ran.err


def test_one_that_is_refused_leaves_the_others_alone(api: StubApi, kubeconfig: Path, shelf: Path) -> None:
    other = OBJECT | {"metadata": {"name": "backup", "namespace": "team-a"}}
    serve(api, OBJECT, other)
    create(kubeconfig, shelf)
    lose(api)
    api.refusals[f"{PROVIDERS}/backup"] = absent("backup")
    api.refusals[PROVIDERS] = absent("namespace")
    ran = run("restore", str(only(shelf)), kubeconfig=kubeconfig)
    assert ran.code == 1
    assert ran.out.count("failed") == 2
    assert "--create-namespaces" in ran.out


def test_namespaces_are_made_when_asked_for(api: StubApi, kubeconfig: Path, shelf: Path) -> None:
    serve(api, OBJECT)
    create(kubeconfig, shelf)
    lose(api)
    api.objects[NAMESPACE.path()] = {}
    ran = run("restore", str(only(shelf)), "--create-namespaces", kubeconfig=kubeconfig)
    assert ran.code == 0, ran.err
    assert writes(api)[0] == ("POST", "/api/v1/namespaces")
    assert "namespace team-a created" in ran.err


def test_only_what_is_named_comes_back(api: StubApi, kubeconfig: Path, shelf: Path) -> None:
    other = OBJECT | {"metadata": {"name": "backup", "namespace": "team-a"}}
    serve(api, OBJECT, other)
    create(kubeconfig, shelf)
    lose(api)
    path = str(only(shelf))
    ran = run("restore", path, "--only", "llmprovider/claude", "-o", "json", kubeconfig=kubeconfig)
    assert [one["object"] for one in ran.json] == ["team-a/claude"]
    assert "not in the backup" in run("restore", path, "--only", "llmprovider/x", kubeconfig=kubeconfig).err
    assert "nothing of that" in run("restore", path, "-n", "elsewhere", kubeconfig=kubeconfig).err


def test_missing_crds_are_said_and_nothing_is_written(api: StubApi, kubeconfig: Path, shelf: Path) -> None:
    serve(api, OBJECT)
    create(kubeconfig, shelf)
    api.objects.clear()
    ran = run("restore", str(only(shelf)), kubeconfig=kubeconfig)
    assert ran.code == 1
    assert "CRDs are not installed" in ran.err
    assert writes(api) == []


def test_a_key_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    ran = run("backup", "verify", "x", "--key-file", str(tmp_path / "nowhere"))
    assert f"{tmp_path / 'nowhere'}: No such file" in ran.err
    (tmp_path / "bad").write_text("short")
    assert "openssl rand" in run("backup", "verify", "x", "--key-file", str(tmp_path / "bad")).err
