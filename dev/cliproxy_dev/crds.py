"""The CRDs of `crds/` for a given server: one source, with what old servers refuse left out.

Applying them is `cliproxy_dev.kube`'s and kubectl's. From the command line:
`python -m cliproxy_dev.crds render --minor 20 > crds-1.20.yaml`.
"""

import argparse
import copy
import sys
from pathlib import Path
from typing import Any, Final

import yaml

_ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = _ROOT / "crds"
CHART: Final = _ROOT / "charts" / "cliproxy-operator" / "files" / "crds"
"""Helm cannot read files from outside a chart, so the chart holds copies."""
CEL_SINCE_MINOR: Final = 25
"""From here on `x-kubernetes-validations` is on by default; kubectl refuses it against older servers."""
SELECTABLE_SINCE_MINOR: Final = 31
"""From here on `selectableFields` is on by default."""


def load_sources(folder: Path = SOURCE) -> list[dict[str, Any]]:
    """Return the CRDs as they are written, sorted by file name.

    Raises:
        FileNotFoundError: the folder holds none; the checkout is incomplete.

    """
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise FileNotFoundError(f"no CRDs in {folder}; run from a full checkout")
    return [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]


def for_server(*, minor: int, folder: Path = SOURCE) -> list[dict[str, Any]]:
    """Return the CRDs as a Kubernetes 1.`minor` server takes them."""
    return [fit(crd, minor=minor) for crd in load_sources(folder)]


def fit(crd: dict[str, Any], *, minor: int) -> dict[str, Any]:
    """Return a copy of one CRD without what a Kubernetes 1.`minor` server does not know.

    x-kubernetes-int-or-string stays, although it costs a server before 1.21 the schema in server-side apply
    (kubernetes issue 90902): with it, 1.20 leaves null where our status gives up an object, and refuses that.
    """
    fitted = copy.deepcopy(crd)
    for version in fitted["spec"]["versions"]:
        if minor < SELECTABLE_SINCE_MINOR:
            version.pop("selectableFields", None)
        if minor < CEL_SINCE_MINOR:
            _drop_cel(version["schema"]["openAPIV3Schema"])
    return fitted


def render(*, minor: int, folder: Path = SOURCE) -> str:
    """Return the CRDs for a server as one YAML stream."""
    return yaml.safe_dump_all(for_server(minor=minor, folder=folder), sort_keys=False, width=108)


def copy_to_chart(source: Path = SOURCE, chart: Path = CHART) -> list[str]:
    """Make the chart's CRDs the same files as the source's; return the names of those that were not."""
    chart.mkdir(parents=True, exist_ok=True)
    wanted = {file.name: file.read_bytes() for file in sorted(source.glob("*.yaml"))}
    present = {file.name: file.read_bytes() for file in chart.glob("*.yaml")}
    for name in present.keys() - wanted.keys():
        (chart / name).unlink()
    for name, content in wanted.items():
        (chart / name).write_bytes(content)
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def _drop_cel(schema: dict[str, Any]) -> None:
    schema.pop("x-kubernetes-validations", None)
    below = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    for one in below:
        if isinstance(one, dict):
            _drop_cel(one)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m cliproxy_dev.crds", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("render", help="write the CRDs for a server to standard output")
    command.add_argument(
        "--minor", type=int, required=True, help="the server's minor version: 20 for v1.20.2"
    )
    commands.add_parser("chart", help="refresh the chart's copies")
    chosen = parser.parse_args(arguments)
    if chosen.command == "chart":
        print("refreshed in the chart:", ", ".join(copy_to_chart()) or "nothing, it was up to date")
        return 0
    sys.stdout.write(render(minor=chosen.minor))
    return 0


if __name__ == "__main__":
    sys.exit(main())
