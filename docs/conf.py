"""How Sphinx builds the documentation site (`make docs`): Markdown in, warnings are errors.

The pages have two kinds of readers: who browse the repository and who are on the site. So links to files
outside this folder are plain relative links in the pages, and become links to the repository here.
"""

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "api"))

from cliproxy_api.version import __version__  # noqa: E402 -- found through the path above

REPOSITORY = "https://github.com/cliproxy/cliproxy-operator/tree/main/"
OUTSIDE = re.compile(r"\]\(\.\./([^)\s]+)\)")

project = "cliproxy-operator"
author = "the cliproxy-operator authors"
copyright = "the cliproxy-operator authors, Apache-2.0"  # noqa: A001 -- Sphinx's name for it
release = version = __version__

extensions = ["myst_parser", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
nitpicky = True
suppress_warnings = ["myst.header"]  # pages with generated parts begin again at the second level

html_theme = "furo"
html_title = f"cliproxy-operator {__version__}"
html_copy_source = False
copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"
copybutton_here_doc_delimiter = "EOF"


def _point_outside(app: Sphinx, docname: str, source: list[str]) -> None:
    """Turn `](../examples/x.yaml)` into a link to the repository; pages in a folder of `docs` keep theirs."""
    del app
    if "/" not in docname:
        source[0] = OUTSIDE.sub(rf"]({REPOSITORY}\1)", source[0])
    elif docname.count("/") == 1:
        source[0] = re.sub(r"\]\(\.\./\.\./([^)\s]+)\)", rf"]({REPOSITORY}\1)", source[0])


def setup(app: Sphinx) -> None:
    """Register what Sphinx calls for each page."""
    app.connect("source-read", _point_outside)
