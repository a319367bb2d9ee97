"""The words with which podman plays what the node agent describes."""

from __future__ import annotations

import json
from typing import Any

from cliproxy_dev.images.play import command, container_name

RUN: dict[str, Any] = {
    "name": "ns_pod_main",
    "command": [],
    "arguments": ["--flag"],
    "env": {"HOME": "/tmp", "A": "1"},  # noqa: S108 -- the container's own
    "mounts": [
        {"source": "/a", "target": "/b", "read_only": True},
        {"source": "/c", "target": "/d", "read_only": False},
    ],
    "hosts": {"web.team.svc": "127.0.1.2"},
}


def test_the_container_is_hardened_and_has_what_the_pod_gives_it() -> None:
    words = command("image:1", RUN)
    for word in ("--read-only", "--cap-drop=all", "--volume=/dev/null:/usr/bin/dash:ro"):
        assert word in words
    for word in (
        "--volume=/a:/b:ro",
        "--volume=/c:/d:rw",
        "--env=HOME=/tmp",
        "--add-host=web.team.svc:127.0.1.2",
    ):
        assert word in words
    assert words[-2:] == ["image:1", "--flag"]
    assert not any(word.startswith("--entrypoint") for word in words)


def test_a_command_takes_the_place_of_the_images_own() -> None:
    words = command("image:1", RUN | {"command": ["/app/bin/tool", "run"]})
    [entry] = [word for word in words if word.startswith("--entrypoint=")]
    assert json.loads(entry.removeprefix("--entrypoint=")) == ["/app/bin/tool", "run"]


def test_names_are_such_as_podman_takes() -> None:
    assert container_name("ns_pod/main") == "cliproxy-ns_pod-main"
