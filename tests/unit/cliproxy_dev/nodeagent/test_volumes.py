from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from cliproxy_dev.nodeagent.environment import Unresolvable
from cliproxy_dev.nodeagent.volumes import claim_name, lay_out, secret_name

SECRET = {"data": {"a": base64.b64encode(b"1").decode(), "b": base64.b64encode(b"2").decode()}}


def volume(**source: Any) -> dict[str, Any]:
    return {"name": "v", "secret": {"secretName": "keys", **source}}


def files(place: Path) -> dict[str, str]:
    found = {}
    for folder, _, names in os.walk(place, followlinks=True):
        inside = Path(folder).relative_to(place)
        if not any(part.startswith("..") for part in inside.parts):
            found |= {str(inside / name): (place / inside / name).read_text() for name in names}
    return found


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


def test_a_changed_secret_is_swapped_whole(tmp_path: Path) -> None:
    place = tmp_path / "v"
    lay_out(volume(), SECRET, place)
    before = (place / "a").resolve()
    lay_out(volume(), SECRET, place)
    assert (place / "a").resolve() == before, "nothing has changed"

    changed = {"data": {"b": base64.b64encode(b"3").decode(), "c": base64.b64encode(b"4").decode()}}
    lay_out(volume(), changed, place)
    assert files(place) == {"b": "3", "c": "4"}
    assert (place / "b").resolve().parent == (place / "c").resolve().parent
    assert not before.exists()


def test_an_optional_secret_comes_and_goes(tmp_path: Path) -> None:
    place = tmp_path / "v"
    lay_out(volume(optional=True), None, place)
    lay_out(volume(optional=True), SECRET, place)
    assert files(place) == {"a": "1", "b": "2"}
    lay_out(volume(optional=True), None, place)
    assert files(place) == {}


def test_a_claim_is_a_folder_and_other_kinds_are_refused_by_name(tmp_path: Path) -> None:
    volume = {"name": "b", "persistentVolumeClaim": {"claimName": "backups"}}
    lay_out(volume, None, tmp_path / "claim")
    (tmp_path / "claim" / "kept").touch()
    lay_out(volume, None, tmp_path / "claim")

    assert claim_name(volume) == "backups"
    assert (tmp_path / "claim" / "kept").exists()
    with pytest.raises(Unresolvable, match="does not know nfs"):
        lay_out({"name": "n", "nfs": {}}, None, tmp_path / "nfs")
