"""The suite's figures: one row per fault, as Markdown. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cliproxy_dev.faults.checks import PER_OBJECT, STORM, WINDOW_S, Verdict

COLUMNS = (
    "fault",
    "runs",
    "requests",
    "lost",
    "cooldowns",
    "cooldowns lost",
    "stuck",
    "stale",
    "API writes",
    "most in 10 s",
)
HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


@dataclass(slots=True)
class Row:
    """One fault: the verdicts of its runs."""

    name: str
    title: str
    verdicts: list[Verdict] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    """Counts of what its runs met, such as the step of a cooldown at which the operator was killed."""
    skipped: str = ""
    """Why it could not be played here."""
    taken: str = ""
    """The day, and the version of the API server."""

    @property
    def passed(self) -> bool:
        """Whether it was played, and every invariant held in every run."""
        return bool(self.verdicts) and all(one.passed for one in self.verdicts)


def line(row: Row) -> str:
    """Return one line of the table."""
    if row.skipped:
        return f"| {row.title} | not played: {row.skipped} | | | | | | | | |"
    runs: Sequence[Verdict] = row.verdicts
    counts = [
        len(runs),
        *(
            sum(getattr(one, name) for one in runs)
            for name in ("requests", "lost", "cooldowns", "cooldowns_lost", "stuck", "stale", "writes")
        ),
        max((one.peak for one in runs), default=0),
    ]
    return f"| {row.title} | " + " | ".join(f"{count:,}" for count in counts) + " |"


def render(rows: Iterable[Row]) -> str:
    """Return the section for the document: the table, when it was taken, what the runs met, what failed."""
    rows = list(rows)
    parts = [
        "\n".join([HEAD, *(line(row) for row in rows)]),
        f"A storm: more than {STORM} writes in {WINDOW_S:g} s, and {PER_OBJECT} for each object made. Taken:",
        "\n".join(f"* {taken}: {', '.join(names)}" for taken, names in _by_day(rows).items()),
    ]
    for row in rows:
        if row.notes:
            met = "\n".join(f"| {what} | {count} |" for what, count in row.notes.items())
            parts.append(f"{row.title}: what its runs met\n\n| | runs |\n|---|---|\n{met}")
    for row in rows:
        if failures := [words for one in row.verdicts for words in one.words]:
            listed = "\n".join(f"* {words}" for words in failures[:20])
            parts.append(f"**{row.title}: {len(failures)} violations**\n\n{listed}")
    return "\n\n".join(parts)


def _by_day(rows: Iterable[Row]) -> dict[str, list[str]]:
    days: dict[str, list[str]] = {}
    for row in rows:
        days.setdefault(row.taken, []).append(row.name)
    return days
