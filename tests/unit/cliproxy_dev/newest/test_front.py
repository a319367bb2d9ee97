"""Whose a path is, and how one list of groups is made of two."""

from __future__ import annotations

from typing import Any

import pytest

from cliproxy_dev.newest.front import belongs_to_newest, merged


@pytest.mark.parametrize(
    "path",
    [
        "/apis/cliproxy.io",
        "/apis/cliproxy.io/v1alpha1/namespaces/demo/llmproviders",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "/openapi/v3/apis/cliproxy.io/v1alpha1",
    ],
)
def test_custom_resources_are_the_newest_servers(path: str) -> None:
    assert belongs_to_newest(path)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/demo/secrets",
        "/apis",
        "/apis/apps/v1",
        "/version",
        "/readyz",
        "/apis/cliproxy.iota",
    ],
)
def test_everything_else_is_the_other_servers(path: str) -> None:
    assert not belongs_to_newest(path)


def groups(**versions: str) -> dict[str, Any]:
    names = [(name.replace("_", "."), version) for name, version in versions.items()]
    return {"kind": "APIGroupList", "groups": [{"name": name, "version": version} for name, version in names]}


def test_groups_of_both_are_listed_once() -> None:
    core = groups(apps="core", apiextensions_k8s_io="core")
    newest = groups(apiextensions_k8s_io="newest", cliproxy_io="newest")["groups"]

    assert merged(core, newest) == groups(apps="core", apiextensions_k8s_io="newest", cliproxy_io="newest")
