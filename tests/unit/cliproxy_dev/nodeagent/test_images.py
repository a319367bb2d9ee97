from __future__ import annotations

import sys

import pytest

from cliproxy_dev.nodeagent.images import SIDECAR_ONLY, entry_point, repository


@pytest.mark.parametrize(
    "image",
    [
        "cliproxy-sidecar",
        "cliproxy-sidecar:0.1.0",
        "ghcr.example/team/cliproxy-sidecar:latest",
        "localhost:5000/cliproxy-sidecar",
        "registry.example:443/a/b/cliproxy-sidecar:1@sha256:abc",
    ],
)
def test_the_sidecar_is_known_in_any_registry_and_tag(image: str) -> None:
    assert repository(image) == "cliproxy-sidecar"
    assert entry_point(image, SIDECAR_ONLY) == [sys.executable, "-m", "cliproxy_sidecar"]


@pytest.mark.parametrize("image", ["nginx", "cliproxy-sidecar-tools:1", "cliproxy-sidecar/other:1"])
def test_others_are_not(image: str) -> None:
    assert entry_point(image, SIDECAR_ONLY) is None
