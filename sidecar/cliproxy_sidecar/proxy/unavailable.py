"""What the caller is told when no provider's answer can be relayed: failures and cooldowns -> a refusal.

Pure. Which words each format has is `core.errors`'; sending is `refusal`'s.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_sidecar.core.choice import Lack, NoTarget, Skipped, SkipReason
from cliproxy_sidecar.core.errors import Cooling, ErrorKind, cooling_message
from cliproxy_sidecar.core.outcome import Outcome
from cliproxy_sidecar.core.permit import Blocked
from cliproxy_sidecar.core.target import Target, TargetId
from cliproxy_sidecar.proxy.refusal import Refusal

_LIMITS: Final = frozenset({OutcomeClass.RATE_LIMITED, OutcomeClass.RAMP, OutcomeClass.QUOTA_LONG})
_BROKEN: Final = frozenset({OutcomeClass.SERVER_ERROR, OutcomeClass.STREAM_ERROR})
_TIMEOUTS: Final = frozenset({"first_byte_timeout", "idle_timeout", "total_timeout"})


def no_target(model: str, lack: NoTarget, failures: Mapping[TargetId, Outcome], now: float) -> Refusal:
    """Return the refusal for a request that nobody takes; `failures` are those of this request."""
    match lack.reason:
        case Lack.UNKNOWN_MODEL:
            return unknown_model(model)
        case Lack.OTHER_FORMAT:
            return Refusal(
                ErrorKind.WRONG_FORMAT,
                f"No provider of model {model!r} has this operation; /v1/chat/completions, /v1/messages and"
                " /v1/responses are served for every model.",
                param="model",
            )
        case Lack.ALL_COOLING | Lack.ALL_LIMITED | Lack.ALL_UNHEALTHY | Lack.EXHAUSTED:
            return _unavailable(model, lack, failures, now)


def unknown_model(model: str) -> Refusal:
    """Return the refusal for a model that nobody here has."""
    message = f"The model {model[:256]!r} is not served here; GET /v1/models lists those that are."
    return Refusal(ErrorKind.UNKNOWN_MODEL, message, param="model")


def failed(model: str, target: Target, outcome: Outcome, blocked: Blocked | None, now: float) -> Refusal:
    """Return the refusal after a failure that nothing may follow."""
    skipped = (Skipped(target, SkipReason.TRIED, blocked),)
    return _unavailable(model, NoTarget(Lack.EXHAUSTED, skipped=skipped), {target.id: outcome}, now)


def _unavailable(model: str, lack: NoTarget, failures: Mapping[TargetId, Outcome], now: float) -> Refusal:
    cooling = tuple(_cooling(skip, failures, now) for skip in lack.skipped)
    waits = [item.remaining_s for item in cooling if item.remaining_s is not None]
    return Refusal(
        _kind(lack.skipped, failures),
        cooling_message(model, _distinct(cooling)),
        retry_after_s=min(waits, default=None),
    )


def _kind(skipped: Sequence[Skipped], failures: Mapping[TargetId, Outcome]) -> ErrorKind:
    classes = {_class(skip, failures) for skip in skipped}
    if classes and classes <= _LIMITS:
        return ErrorKind.RATE_LIMITED
    last = list(failures.values())[-1] if failures else None
    if last is not None and last.cls is OutcomeClass.CANCELLED:
        return ErrorKind.TIMEOUT  # the request's own time is used up
    if last is None or last.cls not in _BROKEN:
        return ErrorKind.UNAVAILABLE
    return ErrorKind.TIMEOUT if last.code in _TIMEOUTS else ErrorKind.UPSTREAM_FAILED


def _class(skip: Skipped, failures: Mapping[TargetId, Outcome]) -> OutcomeClass | None:
    failure = failures.get(skip.target.id)
    if failure is not None:
        return failure.cls
    return skip.blocked.outcome_class if skip.blocked is not None else None


def _cooling(skip: Skipped, failures: Mapping[TargetId, Outcome], now: float) -> Cooling:
    target, blocked = skip.target, skip.blocked
    remaining_s = max(blocked.until - now, 0.0) if blocked is not None else None
    failure = failures.get(target.id)
    if failure is not None:
        reason = failure.reason
    elif blocked is not None:
        reason = blocked.reason or blocked.phase.value
    else:
        reason = "its probes fail" if skip.why is SkipReason.UNHEALTHY else skip.why.value
    return Cooling(name=target.provider.name, reason=reason, remaining_s=remaining_s)


def _distinct(cooling: Sequence[Cooling]) -> tuple[Cooling, ...]:
    """One line per provider and reason: its credentials often cool alike."""
    return tuple({(item.name, item.reason): item for item in cooling}.values())
