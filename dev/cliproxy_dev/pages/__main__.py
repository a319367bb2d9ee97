"""Write the generated pages: `python -m cliproxy_dev.pages`; `make docs` does it before building the site."""

from pathlib import Path
from typing import Final

from cliproxy_dev import crds
from cliproxy_dev.pages import commandline, reference

ROOT: Final = Path(__file__).resolve().parents[3]
FOLDER: Final = ROOT / "docs" / "reference"


def generated() -> dict[Path, str]:
    """Return every generated page's text by its path."""
    kinds = {
        FOLDER / f"{crd['spec']['names']['singular']}.md": reference.page(crd) for crd in crds.load_sources()
    }
    return {**kinds, FOLDER / "cli.md": commandline.page()}


def main() -> None:
    """Write the pages whose text changed."""
    FOLDER.mkdir(exist_ok=True)
    for path, text in generated().items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
