"""Lets callers in where callers have names: whose key it is, whether the caller is within its limits.

Only plans with consumers come here. What the limits are `core.limits.callers` judges; a refusal's words are
made here, sent by `refusal`.
"""

from typing import Final, assert_never

from cliproxy_api.audit import AuditEvent, AuditOutcome, peer_text
from cliproxy_api.money import format_nano_usd
from cliproxy_api.snapshot import Pricing
from cliproxy_api.vocabulary import OnExceeded
from cliproxy_sidecar.core.dialect import Need, Operation
from cliproxy_sidecar.core.errors import ErrorKind
from cliproxy_sidecar.core.headers import printable
from cliproxy_sidecar.core.limits.callers import Caller, Exceeded
from cliproxy_sidecar.core.limits.downgrade import cheapest_model
from cliproxy_sidecar.core.limits.guesses import Guesses
from cliproxy_sidecar.core.limits.identity import MISSING, WRONG, identify
from cliproxy_sidecar.core.limits.keys import KeyRing
from cliproxy_sidecar.core.limits.limiter import Refused
from cliproxy_sidecar.core.limits.price import expected_nano_usd, expected_tokens
from cliproxy_sidecar.proxy.downstream import Downstream
from cliproxy_sidecar.proxy.ledger import Ledger
from cliproxy_sidecar.proxy.plan import Plan
from cliproxy_sidecar.proxy.refusal import Refusal
from cliproxy_sidecar.runtime.audit import Audit
from cliproxy_sidecar.runtime.metrics import Metrics

_WORDS: Final = {
    MISSING: "An API key is needed here: send it as `Authorization: Bearer KEY`, `x-api-key` or "
    "`x-goog-api-key`.",
    WRONG: "The API key is not known here; ask whoever runs this gateway for a key.",
}


def caller_of(
    ring: KeyRing[Caller],
    guesses: Guesses,
    downstream: Downstream,
    *,
    metrics: Metrics,
    audit: Audit,
    now: float,
) -> Caller | Refusal:
    """Return whose request it is, or the refusal of a stranger, which is counted and told."""
    line, request = downstream.line, downstream.request
    client = line.address("peername")
    found = identify(ring, guesses, request.headers, request.query, client, line.address("sockname"), now)
    if isinstance(found, Caller):
        return found
    metrics.authentication_failures.add(("proxy", found.why))
    audit.tell(
        AuditEvent.AUTHENTICATION_FAILURE,
        AuditOutcome.REFUSED,
        reason=found.why,
        origin=peer_text(client),
        subject="port/proxy",
    )
    if found.until is not None:
        message = "Too many wrong API keys came from this address; wait before the next one."
        return Refusal(ErrorKind.RATE_LIMITED, message, retry_after_s=found.until - now)
    return Refusal(ErrorKind.UNAUTHENTICATED, _WORDS[found.why])


def admit(
    plan: Plan,
    caller: Caller,
    operation: Operation,
    model: str,
    *,
    body_bytes: int,
    ledger: Ledger,
    metrics: Metrics,
    audit: Audit,
    downstream: Downstream,
    now: float,
) -> Refusal | None:
    """Reserve for a known caller's request, or say why it must not go on.

    Over a budget that only warns, or that asks for a cheaper model, the request goes on, and the ledger says
    how the answer's head is to tell that. `audit` hears what turned a request away, or made it cheaper.
    """
    tokens = expected_tokens(body_bytes) if operation.is_billed else 0
    refused = caller.refusal(tokens, now)
    if refused is not None:
        metrics.consumer_refusals.add((caller.name, refused.unit))
        _tell(audit, downstream, AuditEvent.LIMIT_HIT, AuditOutcome.REFUSED, caller, refused.told)
        return _above_limit(caller, refused, now)
    exceeded = caller.exceeded(now) if operation.is_billed else None
    if exceeded is not None:
        metrics.over_budget.add((caller.name, exceeded.period.value, exceeded.action.value))
        refusal = _over_budget(plan, caller, exceeded, operation, model, tokens, ledger)
        if refusal is not None or ledger.stand_in is not None:
            outcome = AuditOutcome.DOWNGRADED if refusal is None else AuditOutcome.REFUSED
            budget = f"{exceeded.period.value} budget"
            _tell(audit, downstream, AuditEvent.BUDGET_EXCEEDED, outcome, caller, budget)
        if refusal is not None:
            metrics.consumer_refusals.add((caller.name, "budget"))
            return refusal
    price = 0
    if caller.periods and tokens:
        price = expected_nano_usd(tokens, _pricing(plan, ledger.stand_in or model))
    ledger.call = caller.begin(tokens, price, now)
    ledger.call.exceeded = exceeded
    return None


def _tell(  # noqa: PLR0917 -- where to, and one event
    audit: Audit,
    downstream: Downstream,
    event: AuditEvent,
    outcome: AuditOutcome,
    caller: Caller,
    reason: str,
) -> None:
    origin = peer_text(downstream.line.address("peername"))
    audit.tell(event, outcome, reason=reason, who=caller.name, origin=origin, subject="port/proxy")


def _over_budget(  # noqa: PLR0917 -- one decision
    plan: Plan,
    caller: Caller,
    exceeded: Exceeded,
    operation: Operation,
    model: str,
    tokens: int,
    ledger: Ledger,
) -> Refusal | None:
    told = f"{exceeded.period.value} budget of {format_nano_usd(exceeded.limit)} USD exceeded"
    ledger.notes = ((b"x-cliproxy-budget", f"{told}; resets {exceeded.resets_utc}".encode()),)
    match exceeded.action:
        case OnExceeded.WARN:
            return None
        case OnExceeded.DOWNGRADE:
            cheaper = cheapest_model(plan.table, operation, model, tokens)
            if cheaper is not None:
                ledger.stand_in = cheaper
                ledger.notes += ((b"x-cliproxy-downgraded-from", printable(model)),)
            return None
        case OnExceeded.BLOCK:
            message = (
                f"Consumer {caller.name!r} has spent its {exceeded.period.value} budget of "
                f"{format_nano_usd(exceeded.limit)} USD; it begins anew at {exceeded.resets_utc}. Wait until "
                "then, or have the budget raised in the ProxyProfile."
            )
            return Refusal(ErrorKind.OVER_BUDGET, message, notes=ledger.notes)
        case _:
            assert_never(exceeded.action)


def _above_limit(caller: Caller, refused: Refused, now: float) -> Refusal:
    message = f"Consumer {caller.name!r} is at its limit of {refused.told}."
    return Refusal(ErrorKind.RATE_LIMITED, message, retry_after_s=max(refused.until - now, 0.0))


def _pricing(plan: Plan, model: str) -> Pricing | None:
    """Return the first price that anybody has for a model: what is reserved is put right in the end."""
    groups = plan.table.groups(Need.CONVERSATION, model) or ()
    prices = (target.model.pricing for group in groups for target in group.targets)
    return next((price for price in prices if price is not None), None)
