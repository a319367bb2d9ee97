"""What stays in the store of images, whoever built it, and in which order."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.images.build import Recipe, wheels_of
from cliproxy_dev.images.engine import Engine
from cliproxy_dev.images.store import GRACE_S, clear, gone, kind

NOW_S = 1_000_000.0
LONG_AGO_S = NOW_S - GRACE_S - 1
OPERATOR, PLAIN, COMPILED = (
    "localhost/cliproxy-operator:0.1.0-",
    "localhost/cliproxy-sidecar:0.1.0-",
    "localhost/cliproxy-sidecar:0.1.0-compiled-",
)


def test_the_newest_of_each_kind_stays_however_old() -> None:
    asked = {
        OPERATOR + "a1": 1.0,
        OPERATOR + "b2": 2.0,
        PLAIN + "c3": 4.0,
        PLAIN + "d4": 3.0,
        COMPILED + "e5": 1.0,
    }
    assert gone(asked, asked, NOW_S) == [OPERATOR + "a1", PLAIN + "d4"]


def test_what_another_checkout_asked_for_within_the_hour_stays() -> None:
    asked = {PLAIN + "a1": NOW_S - GRACE_S, PLAIN + "b2": LONG_AGO_S, PLAIN + "c3": NOW_S}
    assert gone(asked, asked, NOW_S) == [PLAIN + "b2"]


def test_of_what_nobody_remembers_one_stays() -> None:
    tags = [COMPILED + "a1", COMPILED + "b2"]
    assert gone(tags, {}, NOW_S) == [COMPILED + "a1"]
    assert gone(tags, {COMPILED + "a1": NOW_S}, NOW_S) == [COMPILED + "b2"]


def test_versions_are_one_kind_and_stages_are_another() -> None:
    assert kind(PLAIN + "a1") == kind(PLAIN.replace("0.1.0", "0.2.0") + "b2")
    assert kind(PLAIN + "a1") != kind(COMPILED + "a1")
    assert kind(wheels_of(PLAIN + "a1")) not in (kind(PLAIN + "a1"), kind(wheels_of(COMPILED + "a1")))


def test_a_tag_says_whether_it_is_compiled_and_digests_differ() -> None:
    plain = Recipe("sidecar", "base:1", None)
    compiled = Recipe("sidecar", "base:1", "builder:1")
    assert plain.digest() != compiled.digest()
    assert compiled.digest() != Recipe("sidecar", "base:1", "builder:2").digest()
    assert "compiled" not in plain.tag(plain.digest())
    assert "-compiled-" in compiled.tag(compiled.digest())
    assert "--build-arg=COMPILED=1" in compiled.arguments()
    assert not any("COMPILED" in word or "BUILDER" in word for word in plain.arguments())


BUILDAH = """\
#!/bin/sh
# Keeps one file for each image, and notes what it was asked.
echo "$@" >> {root}/asked-of-it
case "$1 $2" in
"images "*) ls {root}/images | tr '=' '/' ;;
"rmi --prune") ;;
"rmi "*) rm "{root}/images/$(echo "$2" | tr '/' '=')" ;;
esac
"""


class Here(Engine):
    """The engine, without a namespace of its own, as that takes root."""

    def command(self, *words: str) -> list[str]:
        """Run the program in the folder."""
        return [str(self.root / words[0]), *words[1:]]


@pytest.fixture
def engine(tmp_path: Path) -> Here:
    (tmp_path / "images").mkdir()
    program = tmp_path / "buildah"
    program.write_text(BUILDAH.format(root=tmp_path), "ascii")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Here(tmp_path)


def put(engine: Engine, *tags: str) -> None:
    for tag in tags:
        (engine.root / "images" / tag.replace("/", "=")).touch()


def held(engine: Engine) -> set[str]:
    return {path.name.replace("=", "/") for path in (engine.root / "images").iterdir()}


def test_building_anew_leaves_the_new_and_what_is_not_ours(engine: Here) -> None:
    put(engine, PLAIN + "a1", PLAIN + "b2", COMPILED + "c3", "docker.io/library/debian:12", "<none>:<none>")
    clear(engine, [PLAIN + "b2"], Progress())
    assert held(engine) == {PLAIN + "b2", COMPILED + "c3", "docker.io/library/debian:12", "<none>:<none>"}
    assert (engine.root / "asked-of-it").read_text("ascii").splitlines()[-1] == "rmi --prune"


def test_it_is_remembered_which_is_the_newest(engine: Here) -> None:
    put(engine, PLAIN + "a1", PLAIN + "b2")
    asked = engine.root / "asked.json"
    asked.write_text(json.dumps({PLAIN + "a1": 2.0, PLAIN + "b2": 1.0, PLAIN + "gone": 9.0}), "ascii")
    clear(engine, [], Progress())
    assert held(engine) == {PLAIN + "a1"}
    clear(engine, [COMPILED + "c3"], Progress())
    assert held(engine) == {PLAIN + "a1"}
    assert PLAIN + "gone" not in json.loads(asked.read_text("utf-8"))


def test_a_note_that_is_spoilt_is_made_anew(engine: Here) -> None:
    put(engine, PLAIN + "a1", PLAIN + "b2")
    (engine.root / "asked.json").write_text("{", "ascii")
    clear(engine, [PLAIN + "a1"], Progress())
    assert held(engine) == {PLAIN + "a1"}
    assert list(json.loads((engine.root / "asked.json").read_text("utf-8"))) == [PLAIN + "a1"]
