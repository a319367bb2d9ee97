"""Command line of `make chart`: refresh the chart's copies of the CRDs, values.yaml and the values' page."""

from __future__ import annotations

import sys
from pathlib import Path

from cliproxy_dev import crds
from cliproxy_dev.chart import values

DOCS = Path(__file__).resolve().parents[3] / "docs"


def main() -> int:
    """Write what is out of date, and say which."""
    schema = values.load_schema()
    changed = [f"files/crds/{name}" for name in crds.copy_to_chart()]
    for path, text in (
        (values.VALUES, values.values_yaml(schema)),
        (DOCS / "reference" / "values.md", values.reference(schema)),
    ):
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            changed.append(path.name)
    print("refreshed:", ", ".join(changed) or "nothing, all was up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
