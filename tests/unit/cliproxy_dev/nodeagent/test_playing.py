"""What a real container is given besides its own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cliproxy_dev.nodeagent.images import Mount, Player, Run, entry_point
from cliproxy_dev.nodeagent.playing import describe, mounts, service_names, wants_token, write_run

VOLUMES: dict[str, Any] = {"keys": {"secret": {"secretName": "s"}}, "tmp": {"emptyDir": {}}}
PLACES = {"keys": Path("/here/keys"), "tmp": Path("/here/tmp")}


def test_mounts_are_where_the_pod_wants_them_and_secrets_are_never_written_to() -> None:
    spec = {
        "volumeMounts": [
            {"name": "keys", "mountPath": "/etc/keys"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- the container's own
            {"name": "tmp", "mountPath": "/again", "readOnly": True},
        ]
    }
    assert mounts(spec, PLACES, VOLUMES) == (
        Mount("/here/keys", "/etc/keys", read_only=True),
        Mount("/here/tmp", "/tmp", read_only=False),  # noqa: S108 -- likewise
        Mount("/here/tmp", "/again", read_only=True),
    )


def test_command_and_arguments_stay_apart_and_know_the_variables() -> None:
    spec = {"command": ["/bin/tool"], "args": ["--to=$(PLACE)"]}
    run = describe(spec, name="n", env={"PLACE": "/backup"}, mounts=(), hosts={})
    assert (run.command, run.arguments) == (("/bin/tool",), ("--to=/backup",))
    assert describe({}, name="n", env={}, mounts=(), hosts={}).command == ()


def test_a_run_is_told_in_a_file_of_ours_only(tmp_path: Path) -> None:
    run = Run("n", (), ("a",), {"KEY": "v"}, (Mount("/a", "/b", read_only=True),), {"svc": "127.0.1.1"})
    words = write_run(Player(("play", "it")), run, tmp_path / "run.json")
    assert words == ["play", "it", str(tmp_path / "run.json")]
    assert (tmp_path / "run.json").stat().st_mode & 0o777 == 0o600
    told = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert told["mounts"] == [{"source": "/a", "target": "/b", "read_only": True}]
    assert told["env"] == {"KEY": "v"}


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, False),
        ({"serviceAccountName": "a"}, True),
        ({"serviceAccountName": "a", "automountServiceAccountToken": False}, False),
    ],
)
def test_an_account_is_mounted_unless_refused(spec: dict[str, Any], wanted: bool) -> None:  # noqa: FBT001
    assert wants_token({"spec": spec}) is wanted


def test_a_player_is_found_by_the_images_name() -> None:
    player = Player(("play",))
    assert entry_point("registry.example/team/tool:1", {"tool": player}) is player


class Api:
    """Lists two Services and three pods."""

    async def get(self, path: str) -> dict[str, Any]:
        if path.endswith("/services"):
            web = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}}}
            return {"items": [web, {"metadata": {"name": "bare"}, "spec": {}}]}
        return {
            "items": [
                self.pod("1", "web", "False"),
                self.pod("2", "web", "True"),
                self.pod("3", "db", "True"),
            ]
        }

    @staticmethod
    def pod(number: str, app: str, ready: str) -> dict[str, Any]:
        status = {"podIP": f"127.0.1.{number}", "conditions": [{"type": "Ready", "status": ready}]}
        return {"metadata": {"labels": {"app": app, "more": "x"}}, "status": status}


async def test_a_services_names_are_those_of_a_ready_pod() -> None:
    found = await service_names(Api(), "team")  # type: ignore[arg-type]
    assert found == dict.fromkeys(("web", "web.team", "web.team.svc"), "127.0.1.2")
