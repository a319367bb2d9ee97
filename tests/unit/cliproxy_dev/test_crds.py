"""One source for all servers: what old ones refuse is left out, nothing else."""

import json
from pathlib import Path

import pytest
import yaml

from cliproxy_dev import crds


def test_all_four_kinds_are_there() -> None:
    kinds = [crd["spec"]["names"]["kind"] for crd in crds.load_sources()]
    assert kinds == ["AlertRule", "CooldownPolicy", "LLMProvider", "ProxyProfile"]


def test_a_new_server_gets_the_source_unchanged() -> None:
    assert crds.for_server(minor=31) == crds.load_sources()


@pytest.mark.parametrize(
    ("minor", "cel", "selectable"),
    [(24, False, False), (25, True, False), (30, True, False), (31, True, True)],
)
def test_features_appear_with_the_server_that_knows_them(minor: int, *, cel: bool, selectable: bool) -> None:
    for crd in crds.for_server(minor=minor):
        text = json.dumps(crd)
        assert ("x-kubernetes-validations" in text) is cel
        assert ("selectableFields" in text) is selectable


def test_nothing_but_cel_and_selectable_fields_is_left_out() -> None:
    def known(value: object) -> object:
        if isinstance(value, dict):
            dropped = ("x-kubernetes-validations", "selectableFields")
            return {key: known(entry) for key, entry in value.items() if key not in dropped}
        return [known(entry) for entry in value] if isinstance(value, list) else value

    assert crds.for_server(minor=20) == known(crds.load_sources())


def test_an_incomplete_checkout_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="full checkout"):
        crds.load_sources(tmp_path)


def test_render_writes_one_stream_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert crds.main(["render", "--minor", "20"]) == 0
    assert list(yaml.safe_load_all(capsys.readouterr().out)) == crds.for_server(minor=20)


def test_the_chart_holds_the_same_crds() -> None:
    def files(folder: Path) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in folder.glob("*.yaml")}

    assert files(crds.CHART) == files(crds.SOURCE), "run make chart"


def test_a_changed_source_reaches_the_chart(tmp_path: Path) -> None:
    source, chart = tmp_path / "crds", tmp_path / "chart"
    source.mkdir()
    chart.mkdir()
    (source / "new.yaml").write_text("a: 1\n", "utf-8")
    (chart / "old.yaml").write_text("b: 1\n", "utf-8")

    assert crds.copy_to_chart(source, chart) == ["new.yaml", "old.yaml"]
    assert [file.name for file in chart.iterdir()] == ["new.yaml"]
    assert crds.copy_to_chart(source, chart) == []
