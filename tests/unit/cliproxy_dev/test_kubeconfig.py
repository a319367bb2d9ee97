"""Reading and writing kubeconfig files."""

from __future__ import annotations

import base64
import json
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cliproxy_dev import kubeconfig
from cliproxy_dev.kubeconfig import BadKubeconfig, Endpoint


def put(folder: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    path = folder / "config"
    config = {
        "current-context": "here",
        "contexts": [
            {"name": "other", "context": {"cluster": "x", "user": "x"}},
            {"name": "here", "context": {"cluster": "c", "user": "u"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443/"} | cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_what_is_written_is_read_back_and_private(tmp_path: Path) -> None:
    endpoint = Endpoint(server="https://127.0.0.1:1", token="sesame", ca_pem="-----BEGIN")
    kubeconfig.write(tmp_path / "config", endpoint, user="operator")

    assert kubeconfig.read(tmp_path / "config") == endpoint
    assert (tmp_path / "config").stat().st_mode & 0o077 == 0


def test_certificates_come_inline_or_from_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("CA")
    inline = base64.b64encode(b"KEY").decode()
    (tmp_path / "me.crt").write_text("CERT")
    path = put(
        tmp_path,
        {"certificate-authority": "ca.crt"},
        {"client-certificate": "me.crt", "client-key-data": inline},
    )

    assert kubeconfig.read(path) == Endpoint(
        server="https://127.0.0.1:6443", ca_pem="CA", client_cert_pem="CERT", client_key_pem="KEY"
    )


def test_a_token_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame\n")

    assert kubeconfig.read(put(tmp_path, {}, {"tokenFile": "token"})).token == "sesame"


def test_a_credential_plugin_is_run_with_its_variables(tmp_path: Path) -> None:
    code = "import json, os; print(json.dumps({'status': {'token': os.environ['WORD'] * 2}}))"
    plugin = {"command": sys.executable, "args": ["-c", code], "env": [{"name": "WORD", "value": "se"}]}

    assert kubeconfig.read(put(tmp_path, {}, {"exec": plugin})).token == "sese"


def test_a_plugin_that_fails_is_named(tmp_path: Path) -> None:
    plugin = {"command": sys.executable, "args": ["-c", "raise SystemExit(1)"]}

    with pytest.raises(BadKubeconfig, match=f"credential plugin '{sys.executable}' failed"):
        kubeconfig.read(put(tmp_path, {}, {"exec": plugin}))


@pytest.mark.parametrize(
    "text", ["", "[]", "a: [", json.dumps({"current-context": "x", "contexts": []}), "\x00"]
)
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)

    with pytest.raises(BadKubeconfig, match=str(tmp_path / "config")):
        kubeconfig.read(tmp_path / "config")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadKubeconfig, match="absent"):
        kubeconfig.read(tmp_path / "absent")


def test_credentials_are_not_printed() -> None:
    assert "sesame" not in repr(Endpoint(server="https://x", token="sesame"))


def test_certificates_are_checked_unless_told_otherwise() -> None:
    assert Endpoint(server="https://x").ssl_context().verify_mode is ssl.CERT_REQUIRED
    assert Endpoint(server="https://x", insecure=True).ssl_context().verify_mode is ssl.CERT_NONE
