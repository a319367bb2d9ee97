"""One version everywhere, and what a release tells of its parts is as new as the locks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cliproxy_api.version import __version__
from cliproxy_dev.release import licences, sbom
from cliproxy_dev.release.parts import IMAGES, ROOT, Part, licence, lock_of, parts

CHART = ROOT / "charts" / "cliproxy-operator"
LOCK = """\
# comment
Alpha==1.2 \\
    --hash=sha256:{a} \\
    --hash=sha256:{b}
windows-only==3.0 ; sys_platform == 'win32' \\
    --hash=sha256:{a}
linux-too==4 ; sys_platform != 'win32'
""".format(a="a" * 64, b="b" * 64)


# --------------------------------------------------------------------- version
def test_the_chart_and_its_images_are_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    assert chart["appVersion"] == __version__
    assert chart["version"] == __version__
    assert values["image"]["tag"] == values["sidecar"]["image"]["tag"] == "", "the chart's appVersion then"


def test_manifests_for_git_ops_name_this_release() -> None:
    base = (ROOT / "deploy" / "kustomize" / "base" / "operator.yaml").read_text("utf-8")
    assert set(re.findall(r"cliproxy-(?:operator|sidecar):(\S+)", base)) == {__version__}
    application = yaml.safe_load((ROOT / "deploy" / "argocd" / "application.yaml").read_text("utf-8"))
    source = yaml.safe_load((ROOT / "deploy" / "flux" / "source.yaml").read_text("utf-8"))
    assert application["spec"]["source"]["targetRevision"] == f"v{__version__}"
    assert source["spec"]["ref"]["tag"] == f"v{__version__}"


def test_the_version_is_semver() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?", __version__)


def test_the_changelog_keeps_its_form() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines()
    releases = [line for line in lines if line.startswith("## ")]
    assert releases[0] == "## [Unreleased]"
    for line in releases[1:]:
        assert re.fullmatch(r"## \[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", line), line
    groups = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Known limits"}
    found = [line for line in lines if line.startswith("### ")]
    assert found
    assert {line.removeprefix("### ") for line in found} <= groups


# ----------------------------------------------------------------------- parts
def test_a_lock_is_read_for_linux_with_its_hashes() -> None:
    assert parts(LOCK) == [Part("alpha", "1.2", ("a" * 64, "b" * 64)), Part("linux-too", "4")]


@pytest.mark.parametrize("image", IMAGES)
def test_every_part_of_an_image_is_pinned_by_hash_and_says_its_licence(image: str) -> None:
    found = parts(lock_of(image).read_text("utf-8"))
    assert len(found) > 10
    for part in found:
        assert part.hashes, part.name
        assert licence(part.name) != "see the package", part.name


def test_no_licence_forbids_what_we_do() -> None:
    """Apache-2.0 software may not ship what the GPL covers."""
    for image in IMAGES:
        for part in parts(lock_of(image).read_text("utf-8")):
            assert "GPL" not in licence(part.name), part.name


def test_the_page_of_licences_is_of_these_locks() -> None:
    text = licences.PAGE.read_text("utf-8")
    assert licences.is_current(text), "run `make licences`"
    for image in IMAGES:
        for part in parts(lock_of(image).read_text("utf-8")):
            row = rf"^\| \[?{re.escape(part.name)}\b.*\| {re.escape(part.version)} \|"
            assert re.search(row, text, re.MULTILINE), part.name


def test_an_old_page_is_noticed() -> None:
    assert not licences.is_current(licences.page({image: [] for image in IMAGES}, "0" * 64))


# ------------------------------------------------------------------------ sbom
@pytest.mark.parametrize("image", IMAGES)
def test_the_bill_of_materials_holds_every_part(image: str, tmp_path: Path) -> None:
    assert sbom.main(tmp_path) == 0
    made: dict[str, Any] = json.loads((tmp_path / f"cliproxy-{image}.cdx.json").read_text("utf-8"))
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    assert made["metadata"]["component"]["version"] == __version__
    pinned = parts(lock_of(image).read_text("utf-8"))
    assert [one["purl"] for one in made["components"]] == [part.purl for part in pinned]
    assert all(one["licenses"] for one in made["components"])
    refs = {one["bom-ref"] for one in made["components"]} | {made["metadata"]["component"]["bom-ref"]}
    assert {one["ref"] for one in made["dependencies"]} == refs


def test_the_same_release_gives_the_same_bytes(tmp_path: Path) -> None:
    sbom.main(tmp_path / "one")
    sbom.main(tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
