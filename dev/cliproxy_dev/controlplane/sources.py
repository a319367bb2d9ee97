"""Derive Debian source-package lines from the machine's own list of package sources.

Pure: text in, text out. `apt-get source` needs a `deb-src` entry, which machines rarely have; we never write
a host name of our own, we repeat the machine's entries with `deb-src` added. Reading is left to `debian`.
Formats: sources.list(5), one line per entry and deb822.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

ONE_LINE = re.compile(
    r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)$"
)
# What decides whether an index is trusted; everything else (architectures, languages) does not matter here.
KEPT_OPTIONS = ("Signed-By", "Trusted")


@dataclass(frozen=True, slots=True)
class Source:
    """One entry: where, which suites, and how its signature is checked."""

    uris: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: tuple[tuple[str, str], ...]


def derive(files: Iterable[tuple[str, str]], codename: str, *, suite: str = "") -> str:
    """Return a deb822 sources file with binaries and sources of Debian `codename`; empty if there is none.

    `files` are (name, text) pairs; a name that ends in `.sources` is deb822. Entries of other projects and
    other releases are left out, and so is everything but the component main. `suite` asks the mirrors of this
    release for that suite instead (every mirror of Debian has `sid`); its updates and security have none.
    """
    stanzas = []
    for name, text in files:
        entries = _read_deb822(text) if name.endswith(".sources") else _read_lines(text)
        for entry in entries:
            suites = [name for name in entry.suites if _belongs(name, codename)]
            if suite:
                suites = [suite] if {codename, "stable"}.intersection(suites) else []
            if suites and "main" in entry.components:
                stanzas.append(_stanza(entry, suites))
    return "\n".join(stanzas)


def _belongs(suite: str, codename: str) -> bool:
    names = (codename, "stable")
    return suite in names or suite.startswith(tuple(f"{name}{mark}" for name in names for mark in "-/"))


def _stanza(entry: Source, suites: list[str]) -> str:
    lines = ["Types: deb deb-src", f"URIs: {entry.uris}", f"Suites: {' '.join(suites)}", "Components: main"]
    lines += [f"{name}: {value}" for name, value in entry.options]
    return "\n".join(lines) + "\n"


def _read_lines(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        found = ONE_LINE.match(line.split("#", 1)[0].strip())
        if found is None:
            continue
        given = dict(option.split("=", 1) for option in (found["options"] or "").split() if "=" in option)
        options = [(name, given[name.lower()]) for name in KEPT_OPTIONS if name.lower() in given]
        yield Source(found["uri"], (found["suite"],), tuple(found["components"].split()), tuple(options))


def _read_deb822(text: str) -> Iterator[Source]:
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields = _fields(paragraph)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        options = [(name, fields[name.lower()]) for name in KEPT_OPTIONS if name.lower() in fields]
        suites, components = fields.get("suites", "").split(), fields.get("components", "").split()
        yield Source(
            " ".join(fields.get("uris", "").split()), tuple(suites), tuple(components), tuple(options)
        )


def _fields(paragraph: str) -> dict[str, str]:
    """Read one paragraph; a field may go on in indented lines (an inline key does), which are kept."""
    fields: dict[str, str] = {}
    name = ""
    for line in paragraph.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line[0] in " \t":
            if name:
                fields[name] += "\n" + line
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields
