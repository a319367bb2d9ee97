"""The corpus of good and bad objects in `tests/corpus`, and the published examples.

A bad file's first line is `# path: FIELD  why: ...`; `# needs: cel` marks what only CEL refuses at the
server, `# needs: parser` what only our own code can see.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
_NOTE = re.compile(r"^# path: (?P<path>.+?)  why: (?P<why>.+)$")


@dataclass(frozen=True, slots=True)
class Case:
    """One object and what should be said about it."""

    id: str
    kind: str
    good: bool
    body: dict[str, Any]
    path: str = ""
    """Bad: the field at fault."""
    needs: str = ""
    """Bad: cel, parser, or empty if the schema refuses it."""


def load() -> list[Case]:
    """Return the corpus, sorted by file."""
    return [_read(file) for file in sorted((ROOT / "tests/corpus").rglob("*.yaml"))]


def examples() -> list[tuple[str, dict[str, Any]]]:
    """Return every document of `examples/*.yaml` of our API group, with its file's name."""
    return [
        (file.name, document)
        for file in sorted((ROOT / "examples").glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
        if document["apiVersion"].startswith("cliproxy.io/")
    ]


def _read(file: Path) -> Case:
    text = file.read_text(encoding="utf-8")
    body = yaml.safe_load(text)
    where = file.relative_to(ROOT / "tests/corpus")
    note = _NOTE.match(text.splitlines()[0])
    needs = re.search(r"^# needs: (\w+)$", text, re.MULTILINE)
    good = where.parts[1] == "good"
    assert good or note, f"{where}: the first line must be '# path: ...  why: ...'"
    return Case(
        id=str(where.with_suffix("")),
        kind=body["kind"],
        good=good,
        body=body,
        path=note["path"] if note else "",
        needs=needs[1] if needs else "",
    )
