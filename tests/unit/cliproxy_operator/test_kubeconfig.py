"""The way to the API server is found where clients look for it, or it is said what was wrong."""

import base64
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from cliproxy_operator import kubeconfig
from cliproxy_operator.kubeconfig import Access, ConfigError, find_access, from_kubeconfig


def write(folder: Path, *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> Path:
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_token_is_read_and_does_not_show(tmp_path: Path) -> None:
    access = from_kubeconfig(write(tmp_path, user={"token": "t0ken-of-someone"}))

    assert access.server == "https://10.0.0.1:6443"
    assert access.bearer() == "t0ken-of-someone"
    assert "t0ken-of-someone" not in repr(access)


def test_a_token_file_is_read_again_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    access = from_kubeconfig(write(tmp_path, user={"tokenFile": "token"}))
    assert access.bearer() == "first"
    file.write_text("second\n")

    assert access.bearer() == "second"
    file.unlink()
    assert access.bearer() is None


def test_inline_certificates_are_decoded(tmp_path: Path) -> None:
    encoded = base64.b64encode(b"PEM").decode()
    access = from_kubeconfig(
        write(
            tmp_path,
            cluster={"certificate-authority-data": encoded},
            user={"client-certificate-data": encoded, "client-key-data": encoded},
        )
    )

    assert access.ca_pem == access.client_cert_pem == "PEM"
    assert access.client_key_pem is not None
    assert access.client_key_pem.reveal() == "PEM"


def test_files_are_found_beside_the_config(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("PEM")

    assert from_kubeconfig(write(tmp_path, cluster={"certificate-authority": "ca.crt"})).ca_pem == "PEM"
    with pytest.raises(ConfigError, match="certificate-authority"):
        from_kubeconfig(write(tmp_path, cluster={"certificate-authority": "none.crt"}))


@pytest.mark.parametrize("plugin", ["exec", "auth-provider", "username"])
def test_plugins_are_refused_by_name(tmp_path: Path, plugin: str) -> None:
    with pytest.raises(ConfigError, match=plugin):
        from_kubeconfig(write(tmp_path, user={plugin: {"command": "aws"}}))


@pytest.mark.parametrize("text", ["", "{", "a: b", "current-context: nowhere\ncontexts: []", "\xff"])
def test_what_is_no_kubeconfig_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text, encoding="latin-1")

    with pytest.raises(ConfigError, match="config"):
        from_kubeconfig(path)


def test_tls_settings() -> None:
    assert Access(server="http://127.0.0.1:1").ssl_context() is None
    context = Access(server="https://127.0.0.1:1", verify=False).ssl_context()
    assert context is not None
    assert context.verify_mode is ssl.CERT_NONE


def test_where_it_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("pod-token")
    (account / "ca.crt").write_text("PEM")
    monkeypatch.setattr(kubeconfig, "SERVICE_ACCOUNT", account)
    pod = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}

    access = find_access(pod)
    assert access.server == "https://10.96.0.1:443"
    assert access.bearer() == "pod-token"
    assert find_access(pod | {"KUBERNETES_SERVICE_HOST": "fd00::1"}).server == "https://[fd00::1]:443"
    explicit = find_access(pod | {"KUBECONFIG": str(write(tmp_path))})
    assert explicit.server == "https://10.0.0.1:6443"
    with pytest.raises(ConfigError, match="KUBECONFIG"):
        find_access({"HOME": str(tmp_path)})
