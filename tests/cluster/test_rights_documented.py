"""docs/security.md says what a real API server lets operator, sidecars and pods do: all of it, no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.rights import document
from cliproxy_dev.rights.accounts import APPLICATION, OPERATOR, SIDECAR, STRANGER, TEAM_OPERATOR
from cliproxy_dev.rights.readers import SECRETS

pytestmark = pytest.mark.timeout(120)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text("utf-8")


def words(section: str) -> list[list[str]]:
    """Columns are as wide as what is in them."""
    return [line.split() for line in section.splitlines() if line.strip()]


async def test_the_page_and_the_api_server_agree(
    control_plane: ControlPlane, crds: object, page: str
) -> None:
    asked = await document.sections(control_plane)

    for name in document.NAMES:
        assert words(document.between(page, name)) == words(asked[name]), "run `make rights`"


def test_the_page_lists_each_secret_and_each_account(page: str) -> None:
    table = document.between(page, "readers")

    assert all(kept.shown in table and kept.readers in table for kept in SECRETS)
    for account in (OPERATOR, TEAM_OPERATOR, SIDECAR, APPLICATION, STRANGER):
        assert account.title in table.splitlines()[0]


def test_only_operators_may_read_any_secret(page: str) -> None:
    head, _, *rows = [
        line.strip("| ").split(" | ") for line in document.between(page, "readers").splitlines()
    ]

    for row in rows:
        may = {account for account, word in zip(head, row, strict=True) if word == "may"}
        assert may <= {OPERATOR.title, TEAM_OPERATOR.title}
        assert ("operator's namespace" in row[0]) is (TEAM_OPERATOR.title not in may)
