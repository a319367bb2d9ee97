"""Selection's answers as the small records that `decisions` keeps."""

from collections.abc import Sequence

from cliproxy_sidecar.core.choice import Chosen, NoTarget, Skipped
from cliproxy_sidecar.core.decisions import Choice, Skip, Trail, room


def record(trail: Trail, found: Chosen | NoTarget, now: float) -> None:
    """Note one look for a target; a waiting request's fruitless looks are noted once in a row."""
    if isinstance(found, Chosen):
        if not found.skipped:
            trail.append((now, found.target.id, found.how))
            return
        skips = _skips(found.skipped, room(trail))
        trail.append(Choice(now, found.target.id, found.how, skips, len(found.skipped) - len(skips)))
        return
    last = trail[-1] if trail else None
    if isinstance(last, Choice) and last.lack:
        return
    skips = _skips(found.skipped, room(trail))
    trail.append(Choice(now, None, None, skips, len(found.skipped) - len(skips), found.reason.value))


def _skips(skipped: Sequence[Skipped], at_most: int) -> tuple[Skip, ...]:
    return tuple(_skip(one) for one in skipped[:at_most])


def _skip(skipped: Skipped) -> Skip:
    blocked = skipped.blocked
    if blocked is None:
        return Skip(skipped.target.id, skipped.why.value)
    return Skip(
        skipped.target.id,
        skipped.why.value,
        blocked.until,
        blocked.phase,
        blocked.outcome_class,
        blocked.reason,
    )
