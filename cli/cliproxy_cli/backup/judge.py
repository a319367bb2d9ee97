"""Pure: what is wrong with a backup's entry, and what restoring it now would bring back."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cliproxy_api.resources.parse import ParseFailure, parse
from cliproxy_api.restored import fresh_state
from cliproxy_api.rules import violations
from cliproxy_cli.backup.content import Content, Entry, named_secrets


@dataclass(frozen=True, slots=True)
class Verdict:
    """On one entry."""

    entry: Entry
    problems: tuple[str, ...]
    """What the schema and its rules have against it."""
    state: tuple[str, ...]
    """Parts of its run-time state that are still in force."""
    notes: tuple[str, ...]
    """What of it is over."""


def judge(entry: Entry, now_utc: datetime) -> Verdict:
    """Return the verdict as of now."""
    fresh, notes = fresh_state(entry.kind, entry.state, now_utc)
    return Verdict(entry, problems_of(entry), tuple(sorted(fresh)), notes)


def problems_of(entry: Entry) -> tuple[str, ...]:
    """Return what the schema and its rules have against an entry."""
    body = {"metadata": {"name": entry.name, "namespace": entry.namespace}, "spec": entry.spec}
    try:
        parsed = parse(entry.kind, body)
    except KeyError:
        return (f"kind {entry.kind!r} is none of ours",)
    if isinstance(parsed, ParseFailure):
        return tuple(f"{one.path} {one.message}" for one in parsed.problems)
    return tuple(f"{one.path} {one.message}" for one in violations(parsed))


def missing_secrets(content: Content, entries: Iterable[Entry]) -> list[str]:
    """Return the Secrets that the entries name and the backup does not hold, as namespace/name."""
    held = {(one.namespace, one.name) for one in content.secrets}
    return ["/".join(name) for name in named_secrets(entries) if name not in held]
