from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from cliproxy_dev.nodeagent.environment import Unresolvable
from cliproxy_dev.nodeagent.volumes import lay_out, secret_name

SECRET = {"data": {"a": base64.b64encode(b"1").decode(), "b": base64.b64encode(b"2").decode()}}


def volume(**source: Any) -> dict[str, Any]:
    return {"name": "v", "secret": {"secretName": "keys", **source}}


def files(place: Path) -> dict[str, str]:
    return {str(path.relative_to(place)): path.read_text() for path in place.rglob("*") if path.is_file()}


def test_a_secret_becomes_files(tmp_path: Path) -> None:
    lay_out(volume(), SECRET, tmp_path / "v")

    assert files(tmp_path / "v") == {"a": "1", "b": "2"}


def test_items_choose_and_rename(tmp_path: Path) -> None:
    lay_out(volume(items=[{"key": "b", "path": "sub/renamed"}]), SECRET, tmp_path / "v")

    assert files(tmp_path / "v") == {"sub/renamed": "2"}


@pytest.mark.parametrize(
    ("source", "secret", "message"),
    [
        ({}, None, 'secret "keys" not found'),
        ({"items": [{"key": "c", "path": "c"}]}, SECRET, "non-existent secret key: c"),
    ],
)
def test_what_is_missing_is_named_unless_optional(
    tmp_path: Path, source: dict[str, Any], secret: Any, message: str
) -> None:
    with pytest.raises(Unresolvable, match=message):
        lay_out(volume(**source), secret, tmp_path / "v")

    lay_out(volume(**source, optional=True), secret, tmp_path / "w")
    assert files(tmp_path / "w") == {}


def test_an_empty_dir_is_kept_over_a_restart(tmp_path: Path) -> None:
    empty = {"name": "tmp", "emptyDir": {}}
    lay_out(empty, None, tmp_path / "tmp")
    (tmp_path / "tmp" / "kept").touch()

    lay_out(empty, None, tmp_path / "tmp")

    assert files(tmp_path / "tmp") == {"kept": ""}


def test_other_kinds_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Unresolvable, match=r"hostPath \(volume v\)"):
        lay_out({"name": "v", "hostPath": {"path": "/"}}, None, tmp_path / "v")


def test_which_secret_a_volume_shows() -> None:
    assert secret_name(volume()) == "keys"
    assert secret_name({"name": "tmp", "emptyDir": {}}) is None
