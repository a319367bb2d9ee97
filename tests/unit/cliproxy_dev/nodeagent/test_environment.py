"""A container's variables and command line, as kubelet would compute them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from cliproxy_dev.nodeagent.environment import (
    Unresolvable,
    command_line,
    expand,
    resolve,
    secrets_needed,
    translate,
)

POD = {
    "metadata": {
        "name": "app-1",
        "namespace": "demo",
        "uid": "u-1",
        "annotations": {"cliproxy.io/profile": "team-a"},
        "labels": {"app": "web"},
    },
    "spec": {"nodeName": "local"},
}


def secret(**data: str) -> dict[str, Any]:
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}}


def variables(*env: dict[str, Any], secrets: Any = None, volumes: Any = None) -> dict[str, str]:
    container = {"name": "main", "env": list(env)}
    return resolve(POD, container, pod_ip="127.0.1.10", secrets=secrets or {}, volumes=volumes or {})


def field(path: str) -> dict[str, Any]:
    return {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}


def from_secret(*, optional: bool = False) -> dict[str, Any]:
    return {"name": "X", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "k", "optional": optional}}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "app-1"),
        ("metadata.namespace", "demo"),
        ("metadata.uid", "u-1"),
        ("metadata.annotations['cliproxy.io/profile']", "team-a"),
        ("metadata.annotations['absent']", ""),
        ("metadata.labels['app']", "web"),
        ("spec.nodeName", "local"),
        ("status.podIP", "127.0.1.10"),
    ],
)
def test_fields_of_the_pod(path: str, value: str) -> None:
    assert variables(field(path)) == {"X": value}


def test_values_refer_to_earlier_ones_only() -> None:
    env = variables(
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A) and $(C) and $$(A)"},
        {"name": "C", "value": "3"},
        {"name": "EMPTY"},
    )

    assert env == {"A": "1", "B": "1 and $(C) and $(A)", "C": "3", "EMPTY": ""}


def test_a_secrets_value_is_decoded() -> None:
    assert variables(from_secret(), secrets={"keys": secret(k="sesame")}) == {"X": "sesame"}


@pytest.mark.parametrize("present", [None, {}, secret(other="x")])
def test_an_optional_secret_may_be_absent(present: Any) -> None:
    assert variables(from_secret(optional=True), secrets={"keys": present}) == {}


@pytest.mark.parametrize(
    ("present", "message"),
    [(None, 'secret "keys" not found'), (secret(other="x"), "couldn't find key k in Secret demo/keys")],
)
def test_a_missing_secret_or_key_is_named(present: Any, message: str) -> None:
    with pytest.raises(Unresolvable) as refused:
        variables(from_secret(), secrets={"keys": present})

    assert str(refused.value) == message


def test_volumes_are_told_by_variable() -> None:
    assert variables(volumes={"snap-shots.x": Path("/v")}) == {"CLIPROXY_VOLUME_SNAP_SHOTS_X": "/v"}


@pytest.mark.parametrize(
    ("container", "word"),
    [
        ({"envFrom": [{"secretRef": {"name": "keys"}}]}, "envFrom"),
        (
            {"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]},
            "configMapKeyRef",
        ),
        ({"env": [field("spec.hostname")]}, "spec.hostname"),
    ],
)
def test_what_it_does_not_know_it_refuses_by_name(container: dict[str, Any], word: str) -> None:
    with pytest.raises(Unresolvable, match=word):
        resolve(POD, container, pod_ip="", secrets={}, volumes={})


def test_only_named_secrets_are_read() -> None:
    container = {"env": [from_secret(), field("metadata.name"), {"name": "Y", "value": "1"}]}

    assert secrets_needed(container) == {"keys"}
    assert secrets_needed({}) == set()


def test_the_command_line_is_entry_point_or_command_with_arguments() -> None:
    env = {"PORT": "1"}

    assert command_line({}, ["run"], env) == ["run"]
    assert command_line({"args": ["--port=$(PORT)"]}, ["run"], env) == ["run", "--port=1"]
    assert command_line({"command": ["sh"], "args": ["-c"]}, ["run"], env) == ["sh", "-c"]


@pytest.mark.parametrize(
    ("text", "result"),
    [("$(A)$(A)", "xx"), ("$$(A)", "$(A)"), ("$A", "$A"), ("$(B)", "$(B)"), ("$(", "$("), ("$$$(A)", "$x")],
)
def test_references(text: str, result: str) -> None:
    assert expand(text, {"A": "x"}) == result


def test_a_path_below_a_mount_is_the_place_on_this_machine(tmp_path: Path) -> None:
    container = {
        "name": "main",
        "env": [
            {"name": "DIR", "value": "/etc/tls"},
            {"name": "FILE", "value": "/etc/tls/a"},
            {"name": "OTHER", "value": "/etc/tls-other"},
        ],
        "volumeMounts": [{"name": "tls", "mountPath": "/etc/tls"}],
    }
    found = resolve(POD, container, pod_ip="", secrets={}, volumes={"tls": tmp_path})
    wanted = {"DIR": str(tmp_path), "FILE": str(tmp_path / "a"), "OTHER": "/etc/tls-other"}
    assert {name: found[name] for name in wanted} == wanted


def test_what_only_a_container_knows_is_translated_the_longest_name_first() -> None:
    known = {"web.apps.svc": "127.0.1.11", "web": "wrong", "/app/bin/python": "/usr/bin/python3"}

    assert translate("http://web.apps.svc:8080/ready", known) == "http://127.0.1.11:8080/ready"
    assert translate("/app/bin/python", known) == "/usr/bin/python3"
    assert translate("plain", known) == "plain"
