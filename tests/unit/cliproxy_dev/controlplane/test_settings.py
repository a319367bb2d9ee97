"""The files the API server reads. That it accepts them is proven by the cluster tests."""

from __future__ import annotations

import base64
import csv
from pathlib import Path

from cliproxy_dev.controlplane.settings import Layout, new_signing_key, write_inputs


def test_each_user_has_a_token_of_its_own_and_its_groups(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "plane")
    tokens = write_inputs(layout, {"admin": ("system:masters",), "two": ("a", "b"), "nobody": ()})

    rows = list(csv.reader(layout.tokens.read_text().splitlines()))
    assert rows == [
        [tokens["admin"], "admin", "admin", "system:masters"],
        [tokens["two"], "two", "two", "a,b"],
        [tokens["nobody"], "nobody", "nobody", ""],
    ]
    assert len(set(tokens.values())) == 3
    assert {path.name: path.stat().st_mode & 0o077 for path in (layout.tokens, layout.signing_key)} == {
        "tokens.csv": 0, "service-account.key": 0,
    }  # fmt: skip


def test_the_signing_key_is_a_fresh_sec1_key_on_p256() -> None:
    first, second = new_signing_key(), new_signing_key()
    lines = first.splitlines()
    der = base64.b64decode("".join(lines[1:-1]))

    assert first != second
    assert (lines[0], lines[-1]) == ("-----BEGIN EC PRIVATE KEY-----", "-----END EC PRIVATE KEY-----")
    assert der[:7] == bytes([0x30, len(der) - 2, 2, 1, 1, 4, 32])
    assert der.endswith(bytes.fromhex("2a8648ce3d030107"))
