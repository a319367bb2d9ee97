"""The text of docs/security.md that the API server has a say in, between its markers."""

from typing import Final

from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.rights import listing, readers
from cliproxy_dev.rights.accounts import installed

NAMES: Final = ("rights", "readers")


async def sections(plane: ControlPlane) -> dict[str, str]:
    """Ask everything; return the text of each section by its name."""
    async with plane.api() as api, installed(api):
        try:
            return {"rights": await _rights(plane), "readers": await readers.table(plane)}
        finally:
            await readers.clean(api)


async def _rights(plane: ControlPlane) -> str:
    parts = []
    for account, namespace, title in listing.ASKED:
        lines = await listing.listed(plane, account, namespace)
        shown = "\n".join([f"$ {listing.command(account, namespace)}", *lines])
        parts.append(f"{title[0].upper()}{title[1:]}:\n\n```\n{shown}\n```")
    return "\n\n".join(parts)


def replace(document: str, name: str, section: str) -> str:
    """Return the document with a section between its markers. Raises ValueError when they are missing."""
    before, begin, rest = document.partition(begin_of(name))
    _, end, after = rest.partition(end_of(name))
    if not begin or not end:
        raise ValueError(f"the document lacks the markers of {name}")
    return f"{before}{begin}\n\n{section.strip()}\n\n{end}{after}"


def between(document: str, name: str) -> str:
    """Return what stands between a section's markers."""
    return document.partition(begin_of(name))[2].partition(end_of(name))[0].strip()


def begin_of(name: str) -> str:
    """Return a section's first marker."""
    return f"<!-- {name}: begin; made by `make rights`, do not edit -->"


def end_of(name: str) -> str:
    """Return a section's last marker."""
    return f"<!-- {name}: end -->"
