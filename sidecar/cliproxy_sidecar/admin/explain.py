"""Why a request went where it went, and how a model's traffic is shared: records into sentences and tables.

Pure, like `views`: machines' records and two clocks in, JSON-ready values out, made when somebody asks.
"""

from typing import Any, Final

from cliproxy_api.vocabulary import CooldownPhase
from cliproxy_sidecar.admin.views import Now
from cliproxy_sidecar.core.choice import SkipReason
from cliproxy_sidecar.core.decisions import Choice, Decided, How, Skip
from cliproxy_sidecar.core.dialect import Need
from cliproxy_sidecar.core.permit import Blocked
from cliproxy_sidecar.core.routing import SmoothRoundRobin
from cliproxy_sidecar.core.selection import Chooser
from cliproxy_sidecar.core.target import Target, TargetId
from cliproxy_sidecar.runtime.machines import Machines

_BY: Final = {
    "only": "it was the only candidate",
    "turn": "its turn among the equally good",
    "affinity": "related requests belong to it among the equally good",
    "explore": "a small share of requests explores who is little known",
}
_SKIPPED: Final = {
    SkipReason.TRIED.value: "this request has tried it, or what it shares its fault with",
    SkipReason.UNHEALTHY.value: "unhealthy by its probes",
    SkipReason.LIMITED.value: "at a limit of our own (spec.rateLimit), which no policy overrides",
    SkipReason.QUOTA.value: "our own quota of it (spec.quota) is used up",
}
_PHASES: Final = {
    CooldownPhase.COOLING: "cooling",
    CooldownPhase.HALF_OPEN: "half-open: another request is its trial, or the fleet has not handed one out",
    CooldownPhase.RAMP: "ramping up: the draw went against it",
}


def explain(decided: Decided, now: Now) -> dict[str, Any]:
    """Return one request's decisions in their order."""
    request_id, model, stream, started, duration_s, status, refused, strategy, affinity, trail = decided
    choices: list[dict[str, Any]] = []
    attempts: list[dict[str, Any]] = []
    for entry in trail:
        if isinstance(entry, Choice):
            choices.append(_choice(entry, started, now))
        elif len(entry) == 3:  # noqa: PLR2004 -- a plain choice is a triple
            choices.append(_choice(Choice(*entry), started, now))
        else:
            at, target, outcome, answered, code, latency_ms = entry
            attempts.append(
                {
                    **_named(target),
                    "ended_at_ms": _since_ms(at, started),
                    "outcome": outcome.value,
                    "status": answered,
                    "code": code,
                    "latency_ms": round(latency_ms, 1),
                }
            )
    return {
        "request_id": request_id,
        "model": model,
        "stream": stream,
        "started_at": now.rfc3339(started),
        "duration_ms": round(duration_s * 1000, 1),
        "status": status,
        "refused": refused,
        "strategy": strategy,
        "affinity": affinity,
        "choices": choices,
        "attempts": attempts,
    }


def balancing(machines: Machines, chooser: Chooser, now: Now) -> dict[str, list[dict[str, Any]]]:
    """Return per model its targets with what choosing knows of them, in order of preference."""
    found: dict[str, list[dict[str, Any]]] = {}
    for model in chooser.table.models:
        rows: dict[TargetId, dict[str, Any]] = {}
        for need in reversed(Need):  # the last is what conversations are chosen by
            for rank, group in enumerate(chooser.table.groups(need, model.name) or (), start=1):
                for position, target in enumerate(group.targets):
                    row = rows.setdefault(target.id, _target(machines, chooser, target, now))
                    row |= {"rank": rank, "share_by_weight": _share(group, position)}
        found[model.name] = list(rows.values())
    return found


def _choice(choice: Choice, started: float, now: Now) -> dict[str, Any]:
    return {
        "at_ms": _since_ms(choice.at, started),
        "chosen": None if choice.target is None else _named(choice.target),
        "none_because": choice.lack or None,
        "decided_by": choice.how.by if choice.how is not None else None,
        "because": _BY.get(choice.how.by) if choice.how is not None else None,
        "compared_in": choice.how.unit or None if choice.how is not None else None,
        "candidates": [] if choice.how is None else _candidates(choice.how),
        "skipped": [_skip(skip, now) for skip in choice.skips],
        "more_skipped": choice.more_skips,
    }


def _candidates(how: How) -> list[dict[str, Any]]:
    values = [*how.values, *[None] * (len(how.candidates) - len(how.values))]
    listed = [
        {**_named(target), "value": value, "equally_good": target in how.best or len(how.candidates) == 1}
        for target, value in zip(how.candidates, values, strict=False)
    ]
    resting = [
        {**_named(target), "value": None, "equally_good": False, "resting": "little is left of its limits"}
        for target in how.resting
    ]
    return listed + resting


def _skip(skip: Skip, now: Now) -> dict[str, Any]:
    why = _SKIPPED.get(skip.why) or (_PHASES[skip.phase] if skip.phase is not None else skip.why)
    return {
        **_named(skip.target),
        "why": skip.why,
        "because": why,
        "until": now.rfc3339(skip.until),
        "phase": skip.phase.value if skip.phase is not None else None,
        "class": skip.outcome_class.value if skip.outcome_class is not None else None,
        "reason": skip.reason or None,
    }


def _target(machines: Machines, chooser: Chooser, target: Target, now: Now) -> dict[str, Any]:
    blocked = machines.cooldowns.peek(target, now.mono_s)
    left = machines.allowances.left(target.id, now.mono_s)
    figures = {} if chooser.preferences is None else chooser.preferences.strategy.figures(target, now.mono_s)
    return {
        **_named(target.id),
        "priority": target.provider.priority,
        "healthy": machines.health.healthy(target.provider_id),
        "blocked": None if blocked is None else _blocked(blocked, now),
        "limits_left": None if left is None else round(left, 4),
        "spared": target.id in machines.allowances.low,
        **figures,
    }


def _blocked(blocked: Blocked, now: Now) -> dict[str, Any]:
    return {"phase": blocked.phase.value, "until": now.rfc3339(blocked.until), "reason": blocked.reason}


def _share(group: SmoothRoundRobin, position: int) -> float:
    return round(group.weights[position] / sum(group.weights), 4)


def _named(target: TargetId) -> dict[str, Any]:
    provider, credential, model = target
    return {"provider": provider, "credential": credential, "upstream_model": model}


def _since_ms(at: float, started: float) -> float:
    return round((at - started) * 1000, 3)
