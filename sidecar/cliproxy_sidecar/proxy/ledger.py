"""Accounts for one request: attempts and their outcomes, tokens, times; in the end one log line.

It only writes down what the exchange tells it. Figures are bounded by `runtime.metrics`, lines are written by
`runtime.logs`.
"""

from typing import Final

from cliproxy_api.money import NANO_USD_PER_USD
from cliproxy_api.scope import Scope
from cliproxy_api.vocabulary import COUNTED_CLASSES, OutcomeClass
from cliproxy_sidecar.core.decisions import Trail
from cliproxy_sidecar.core.dialect import operation_of
from cliproxy_sidecar.core.headers import Header
from cliproxy_sidecar.core.limits.callers import Call, Caller
from cliproxy_sidecar.core.outcome import Outcome
from cliproxy_sidecar.core.permit import Permit
from cliproxy_sidecar.core.preference import Preferences
from cliproxy_sidecar.core.scopes import scopes_of
from cliproxy_sidecar.core.target import Target
from cliproxy_sidecar.core.tracing.spans import Ended
from cliproxy_sidecar.core.usage import Usage
from cliproxy_sidecar.proxy.downstream import ENDED, FRESH, Downstream
from cliproxy_sidecar.proxy.tracing.span import Span
from cliproxy_sidecar.proxy.tracing.tracer import Tracer
from cliproxy_sidecar.runtime.clock import now_s, unix_now_s, utc_now
from cliproxy_sidecar.runtime.finished import OTHER
from cliproxy_sidecar.runtime.logs import Logs, RequestLine, TokenCounts, rfc3339
from cliproxy_sidecar.runtime.machines import Machines
from cliproxy_sidecar.runtime.metrics import NO_ATTEMPT, NO_PROVIDER, Metrics

CLIENT_CLOSED_REQUEST: Final = 499
"""nginx's word for a caller that left before the answer."""
_CALLERS: Final = range(400, 500)
"""Statuses of failures that a caller can mend, or that pass; all others are told as errors."""
_NO_USAGE: Final = Usage()
_SUCCESS: Final = OutcomeClass.SUCCESS
_CANCELLED: Final = OutcomeClass.CANCELLED


class Ledger:
    """The account of one request."""

    __slots__ = (
        "_estimated",
        "_logs",
        "_machines",
        "_metrics",
        "attempts",
        "cache",
        "call",
        "caller",
        "cost_nano_usd",
        "counts",
        "first_content_s",
        "model",
        "model_label",
        "notes",
        "outcome",
        "payee",
        "preferences",
        "provider",
        "refused",
        "request_id",
        "span",
        "stand_in",
        "started_s",
        "stream",
        "tracer",
        "trail",
        "usage",
    )

    def __init__(self, machines: Machines, metrics: Metrics, logs: Logs, *, request_id: str) -> None:
        self._machines = machines
        self._metrics = metrics
        self._logs = logs
        self.started_s = now_s()
        self.first_content_s: float | None = None
        self.request_id = request_id
        self.model: str | None = None
        """As the caller named it."""
        self.model_label = OTHER
        self.stream = False
        self.provider: str | None = None
        """Who was asked last."""
        self.attempts = 0
        self.outcome: Outcome | None = None
        """Of the last attempt."""
        self.refused: str | None = None
        """Kind of our own refusal."""
        self.usage = _NO_USAGE
        self.trail: Trail | None = None
        """What was decided; None: the request did not get so far."""
        self.preferences: Preferences | None = None
        """What the plan of the request prefers."""
        self.cache: str | None = None
        """"hit" or "shared": the answer was not made for this request."""
        self.counts = False
        """Whether money and tokens are to be counted: something is priced, limited or somebody's."""
        self.caller: Caller | None = None
        """Who asks, where callers have names."""
        self.call: Call | None = None
        """What the caller's limits have reserved for the request."""
        self.cost_nano_usd = 0
        """Of all attempts."""
        self.payee = ""
        """Id of the provider that was last paid, or that would be if it had a price."""
        self._estimated = False
        self.stand_in: str | None = None
        """A cheaper model that serves instead, since the caller is over budget."""
        self.notes: tuple[Header, ...] = ()
        """What else the answer's head tells."""
        self.tracer: Tracer | None = None
        """None: nothing is traced."""
        self.span: Span | None = None
        """None: not chosen to be recorded, whatever its end."""

    @property
    def known_model(self) -> str | None:
        """As the caller named it; None: it is not served here, so the name is anybody's text."""
        return self.model if self.model_label is not OTHER else None

    @property
    def consumer(self) -> str:
        """Name of the caller; "" where callers have none."""
        return "" if self.caller is None else self.caller.name

    def first_content(self) -> None:
        """Note that a stream's first content goes out."""
        self.first_content_s = now_s()

    def reused(self, how: str, provider: str | None, outcome: Outcome | None = None) -> None:
        """Note that another request's answer, by this provider, was given: it cost nothing more."""
        self.cache, self.provider, self.outcome = how, provider, outcome

    def saved(self, payee: str, nano_usd: int) -> None:
        """Note what the answer of another request had cost, and to whom (its id) it was paid."""
        if nano_usd and self.model is not None:
            self._machines.limits.reuse(payee, self.model, self.consumer, nano_usd, utc_now())

    def shared_out(self, whole: "Ledger", usage: Usage, cost_nano_usd: int) -> None:
        """Take a share of what a joined request cost, which `whole` has told the machines already."""
        self.provider, self.attempts, self.outcome = whole.provider, whole.attempts, whole.outcome
        self.trail, self.preferences = whole.trail, whole.preferences
        self._estimated = whole._estimated  # noqa: SLF001 -- another ledger's
        self.usage, self.cost_nano_usd = usage, cost_nano_usd

    def attempt_ended(
        self, target: Target, permit: Permit, outcome: Outcome, usage: Usage, *, started_s: float
    ) -> None:
        """Settle one attempt with the machines and count it."""
        now = now_s()
        provider_id, credential, upstream_model = target.id
        scopes: tuple[Scope, ...] = ()
        if outcome.scope_kind is not None:
            scopes = scopes_of(outcome, target.provider, credential, upstream_model)
        self._machines.settle(permit, outcome, scopes, now)
        self.outcome, self.usage = outcome, usage
        cost = 0
        if self.counts and (outcome.cls is _SUCCESS or usage.total):
            cost = self._spend(target, usage, now)
        if permit.passage is not None:
            permit.passage.settle(usage.total, cost, now)
        latency_s = now - started_s
        if self.trail is not None:
            self.trail.append((now, target.id, outcome.cls, outcome.status, outcome.code, latency_s * 1000))
        if self.preferences is not None and not self.preferences.plain:
            seen_s = (self.first_content_s or now) - started_s
            self.preferences.ended(
                target, outcome, usage, latency_ms=seen_s * 1000, stream=self.stream, now=now
            )
        if outcome.cls is _CANCELLED:
            return
        failed = outcome.cls in COUNTED_CLASSES
        window = self._machines.windows.of(provider_id)
        window.record(now, error=failed, latency_ms=int(latency_s * 1000), tokens=usage.total)
        if failed:
            if outcome.cls is OutcomeClass.RATE_LIMITED:
                window.rate_limited(now)
            elif outcome.cls is OutcomeClass.AUTH:
                window.key_refused(now)
            self._metrics.errors.add((target.provider.name, outcome.cls.value))

    def _spend(self, target: Target, usage: Usage, now: float) -> int:
        cost = self._machines.limits.count(target, self.consumer, usage, now, utc_now())
        self.cost_nano_usd += cost
        self.payee = target.provider_id
        self._estimated |= usage.estimated
        if self.call is not None:
            self.call.tokens += usage.total
            self.call.nano_usd += cost
        if cost:
            labels = (target.provider.name, target.model.name, self.consumer)
            self._metrics.cost_usd.add(labels, cost)
            self._machines.windows.of(target.provider_id).spent(now, cost)
        return cost

    def close(self, downstream: Downstream) -> None:
        """Count the finished request and write its line."""
        now = now_s()
        duration_s = now - self.started_s
        if self.call is not None:
            self.call.settle(now)
        status = downstream.status if downstream.stage is not FRESH else 0
        if downstream.left:
            status = CLIENT_CLOSED_REQUEST
        succeeded = (
            downstream.stage is ENDED
            and status < 400  # noqa: PLR2004 -- success
            and (self.outcome is None or self.outcome.cls not in COUNTED_CLASSES)
        )
        self._count(downstream, status, duration_s)
        trace_id = None
        if self.tracer is not None and (self.span is not None or not succeeded):
            request, failure = downstream.request, None if succeeded else self._failure() or "broken"
            ended = Ended(request.method, operation_of(request.path), status, failure, now)
            trace_id = self.tracer.end(self, self.span, request, ended)
        if self.trail is not None and self.preferences is not None:
            self._machines.decisions.add(
                (
                    self.request_id,
                    self.model,
                    self.stream,
                    self.started_s,
                    duration_s,
                    status,
                    self.refused,
                    self.preferences.strategy.name,
                    self.preferences.affinity,
                    self.trail,
                )
            )
        logs = self._logs
        if logs.requests_enabled or not succeeded:
            logs.request(self._line(status, duration_s, trace_id, succeeded=succeeded))

    def _count(self, downstream: Downstream, status: int, duration_s: float) -> None:
        metrics, model = self._metrics, self.model_label
        provider = self.provider or NO_PROVIDER if self.cache is None else NO_ATTEMPT
        metrics.finished.of(provider, model).add(status, duration_s, downstream.sent_bytes, self.usage)
        if self.first_content_s is not None:
            metrics.first_token_s.observe((provider, model), self.first_content_s - self.started_s)

    def _failure(self) -> str | None:
        """Return why a request has failed, in one word."""
        return self.refused or (self.outcome.cls.value if self.outcome is not None else None)

    def _line(self, status: int, duration_s: float, trace_id: str | None, *, succeeded: bool) -> RequestLine:
        usage = self.usage
        failure = None if succeeded else self._failure()
        line = RequestLine(
            timestamp=rfc3339(unix_now_s()),
            level="info" if succeeded else "warning" if status in _CALLERS else "error",
            msg="request_success" if succeeded else "request_failed",
            provider=self.provider,
            model=self.model,
            request_id=self.request_id,
            latency_ms=int(duration_s * 1000),
            tokens=TokenCounts(
                input=usage.input + usage.cached_input + usage.cache_write,
                output=usage.output + usage.reasoning,
            ),
            attempts=self.attempts,
            status=status,
            stream=self.stream,
            error_class=failure,
        )
        if self.cache is not None:
            line.cache = self.cache
        if self.caller is not None:
            line.consumer, line.tier = self.caller.name, self.caller.consumer.tier
        if self.cost_nano_usd:
            line.cost_usd = self.cost_nano_usd / NANO_USD_PER_USD
            line.cost_estimated = True if self._estimated else None
        if self.call is not None:
            line.over_budget = self.call.over
        if trace_id is not None:
            line.trace_id = trace_id
        return line
