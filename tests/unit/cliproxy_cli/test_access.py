"""The way to the API server is found where kubectl finds it; what is wrong is named."""

import base64
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cliproxy_cli import access
from cliproxy_cli.access import find_endpoint
from cliproxy_cli.failures import CommandFailed
from support.commandline import run


def write(path: Path, *, user: dict[str, Any] | None = None, **more: Any) -> Path:
    config = {
        "current-context": "here",
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "team-a"}},
            {"name": "there", "context": {"cluster": "c", "user": "u"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443/"}}],
        "users": [{"name": "u", "user": user or {}}],
        **more,
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_the_current_context_counts_unless_another_is_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "config", user={"token": "secret-token"})

    found = find_endpoint({"KUBECONFIG": str(path)})

    assert (found.server, found.namespace, found.token) == ("https://10.0.0.1:6443", "team-a", "secret-token")
    assert find_endpoint({"KUBECONFIG": str(path)}, context="there").namespace == ""
    assert "secret-token" not in repr(found)


def test_several_files_are_one_and_the_first_counts(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.write_text(yaml.safe_dump({"clusters": [{"name": "c", "cluster": {"server": "https://first"}}]}))
    second = write(tmp_path / "second")

    found = find_endpoint({"KUBECONFIG": f"{first}:{tmp_path / 'absent'}:{second}"})

    assert (found.server, found.context) == ("https://first", "here")


def test_home_is_looked_at_and_then_the_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "account").mkdir()
    for name, text in {"token": "pod-token\n", "namespace": "ops", "ca.crt": "PEM"}.items():
        (tmp_path / "account" / name).write_text(text)
    monkeypatch.setattr(access, "SERVICE_ACCOUNT", tmp_path / "account")
    pod = {"KUBERNETES_SERVICE_HOST": "fd00::1", "HOME": str(tmp_path)}

    inside = find_endpoint(pod)
    (tmp_path / ".kube").mkdir()
    write(tmp_path / ".kube" / "config")

    assert (inside.server, inside.namespace, inside.token) == ("https://[fd00::1]:443", "ops", "pod-token")
    assert find_endpoint(pod).server == "https://10.0.0.1:6443"


def test_a_plugin_gives_the_credential(tmp_path: Path) -> None:
    script = tmp_path / "login.py"
    script.write_text(
        "import json, os\n"
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "print(json.dumps({'status': {'token': os.environ['WHO'] + info['kind']}}))\n"
    )
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(script)],
        "env": [{"name": "WHO", "value": "me-"}],
    }

    assert (
        find_endpoint({"KUBECONFIG": str(write(tmp_path / "c", user={"exec": plugin}))}).token
        == "me-ExecCredential"
    )


@pytest.mark.parametrize(
    ("command", "args", "says"),
    [
        ("no-such-plugin", [], "is not installed; get it at example.com"),
        (sys.executable, ["-c", "raise SystemExit(3)"], "failed"),
        (sys.executable, ["-c", "print('hello')"], "printed no credential"),
        (sys.executable, ["-c", "print('{\"status\": {}}')"], "printed no credential"),
    ],
)
def test_a_plugin_that_gives_none_is_named(tmp_path: Path, command: str, args: list[str], says: str) -> None:
    plugin = {"command": command, "args": args, "installHint": "get it at example.com"}

    with pytest.raises(CommandFailed, match=says):
        find_endpoint({"KUBECONFIG": str(write(tmp_path / "c", user={"exec": plugin}))})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no mapping"),
        ("{", "not a kubeconfig"),
        ("a: b", "no current-context"),
        ("current-context: x\ncontexts: []", "no context 'x'; there is none"),
        ("current-context: x\ncontexts: 3", "not a usable kubeconfig"),
        ("current-context: x\ncontexts: [{name: x, context: {cluster: y}}]", "no cluster 'y'"),
        ("current-context: x\ncontexts: [{name: x, context: 3}]", "not a usable kubeconfig"),
    ],
)
def test_what_is_no_kubeconfig_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)

    with pytest.raises(CommandFailed, match=says):
        find_endpoint({}, kubeconfig=str(path))


def test_users_nobody_can_follow_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="'username' are not supported"):
        find_endpoint({}, kubeconfig=str(write(tmp_path / "c", user={"username": "u", "password": "p"})))


def test_a_certificate_that_is_none_is_told(tmp_path: Path) -> None:
    bad = base64.b64encode(b"PEM").decode()
    path = write(tmp_path / "c", user={"client-certificate-data": bad, "client-key-data": bad})

    ran = run("status", kubeconfig=path)

    assert ran.code == 1
    assert "bad certificate or key" in ran.err


def test_no_kubeconfig_says_where_it_looked() -> None:
    ran = run("status")

    assert ran.code == 1
    assert "no kubeconfig: looked for /nonexistent/.kube/config" in ran.err
    assert "set KUBECONFIG" in ran.err


def test_an_api_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "c", clusters=[{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}])

    ran = run("status", kubeconfig=path)

    assert ran.code == 1
    assert "http://127.0.0.1:9 does not answer" in ran.err
    assert "context 'here'" in ran.err
