"""What links bring, handed to whom it concerns: the fleet first, then the collector, then status.

The order matters for speed only: a `Tripped` line is on its way to the other sidecars before anything else.
What a sidecar says of providers that its namespace may not use is passed over: it would cool, recover or
judge what is others'.
"""

import logging
from typing import Final

import msgspec

from cliproxy_api.report import (
    Applied,
    Failed,
    Hello,
    Probed,
    Recovered,
    Report,
    Traffic,
    TrialSettled,
    TrialStarted,
    Tripped,
    Used,
)
from cliproxy_api.snapshot import Position, Running
from cliproxy_operator.collect import Collector
from cliproxy_operator.host import FleetHost
from cliproxy_operator.inputs import Kind, ObjectKey
from cliproxy_operator.leader import Leader
from cliproxy_operator.publish import Publisher
from cliproxy_operator.reconcile import Reconciler
from cliproxy_operator.spending import Spending
from cliproxy_operator.statuses import FIGURES_S, PROGRESS_S, Statuses
from cliproxy_operator.transport import Answer, DocumentName
from cliproxy_operator.view import SidecarId

log = logging.getLogger(__name__)

REFUSED: Final = 422
MAX_NAME_CHARS: Final = 512
"""Of a provider's id: two names of at most 253."""


class Hearing:
    """The listener of all links."""

    def __init__(
        self,
        *,
        host: FleetHost,
        collector: Collector,
        reconciler: Reconciler,
        statuses: Statuses,
        publisher: Publisher,
        leader: Leader,
        spending: Spending,
    ) -> None:
        self._host = host
        self._collector = collector
        self._reconciler = reconciler
        self._statuses = statuses
        self._publisher = publisher
        self._leader = leader
        self._spending = spending
        self._meddling: dict[SidecarId, int] = {}
        """Linked ones that spoke of others' providers: the level at which it was said, once for each."""

    def greeted(self, sidecar: SidecarId, hello: Hello) -> None:
        """The link stands."""
        group = self._group(sidecar)
        digest = hello.running.digest
        trying = tuple(one for one in hello.trying if self._may_speak(sidecar, one.scope.provider, digest))
        self._host.greeted(sidecar, self._reconciler.held(group), trying)
        first, awaited = not self._collector.reported([group]), self._collector.awaited_s([group])
        before = self._collector.behind(sidecar)
        self._collector.linked(sidecar, hello.running)
        first = first or bool(awaited and not self._collector.awaited_s([group]))  # the last that was awaited
        self._spending.greeted(sidecar, keeps_parts=hello.keeps_parts)
        self._progress(sidecar, None if first else before)
        log.info("sidecar linked", extra={"sidecar": str(sidecar), "runs": hello.running.digest})

    def heard(self, sidecar: SidecarId, report: Report) -> None:
        """One report line."""
        match report:
            case Tripped() | Failed() | TrialStarted() | TrialSettled():
                if not self._may_speak(sidecar, report.scope.provider):
                    return
            case Probed() | Recovered():
                if not self._may_speak(sidecar, report.provider):
                    return
            case Traffic(providers=providers):
                if not providers.keys() <= self._reconciler.usable(sidecar.namespace):
                    theirs = {id_: one for id_, one in providers.items() if self._may_speak(sidecar, id_)}
                    report = msgspec.structs.replace(report, providers=theirs)
            case _:
                pass  # of itself alone, or read against what it holds
        self._hear(sidecar, report)

    def _hear(self, sidecar: SidecarId, report: Report) -> None:
        match report:
            case Applied(running=running):
                self._runs(sidecar, running)
            case Traffic(providers=providers):
                self._collector.heard_traffic(sidecar, report)
                self._spending.take(sidecar, *self._holds(sidecar), report)
                for provider_id in providers:
                    self._look_at(provider_id, FIGURES_S)
            case Used():
                self._used(sidecar, report)
            case Probed(provider=provider_id):
                self._host.hear(sidecar, report)
                self._look_at(provider_id, PROGRESS_S)
            case Tripped(scope=scope, outcome_class=outcome_class, remaining_s=remaining_s):
                self._host.hear(sidecar, report)
                log.info(
                    "sidecar tripped",
                    extra={
                        "sidecar": str(sidecar),
                        "provider": scope.provider,
                        "class": outcome_class or "manual",
                        "remaining_s": round(remaining_s, 1),
                    },
                )
            case _:
                self._host.hear(sidecar, report)

    def answered(self, sidecar: SidecarId, document: DocumentName, digest: str, answer: Answer) -> None:
        """A push was taken or refused."""
        if answer.status == REFUSED:
            reason = answer.running.error or "the sidecar gives no reason"
            log.warning(
                "push refused", extra={"sidecar": str(sidecar), "document": document, "reason": reason}
            )
            if document == "snapshot":
                self._collector.refuses(sidecar, digest, reason)
                self._progress(sidecar, frozenset())
        self._runs(sidecar, answer.running)

    def lost(self, sidecar: SidecarId, reason: str) -> None:
        """The link is down."""
        self._meddling.pop(sidecar, None)
        if self._collector.lost(sidecar, reason):
            self._host.gone(sidecar)
            last = not self._collector.reported([self._group(sidecar)])
            self._progress(sidecar, None if last else frozenset())

    def outrun(self, sidecar: SidecarId, seen: Position) -> None:
        """The sidecar is ahead of us."""
        log.warning("sidecar is ahead", extra={"sidecar": str(sidecar), "epoch": seen.epoch})
        if self._publisher.epoch is not None and seen.epoch > self._publisher.epoch:
            self._leader.outrun(seen.epoch)
        else:
            self._publisher.outrun(seen)

    def deposed(self, sidecar: SidecarId, epoch: int) -> None:
        """The sidecar follows another leader."""
        log.warning("sidecar follows another leader", extra={"sidecar": str(sidecar)})
        self._leader.deposed(epoch)

    def _used(self, sidecar: SidecarId, report: Used) -> None:
        namespace, profile = self._group(sidecar)
        consumers = False
        for kind, name in self._spending.hear(sidecar, *self._holds(sidecar), report):
            if kind == "provider":
                self._look_at(name, FIGURES_S)
            consumers = consumers or kind == "consumer"
        if consumers and profile:
            self._statuses.look_at(ObjectKey(Kind.PROXY_PROFILE, namespace, profile), FIGURES_S)

    def _may_speak(self, sidecar: SidecarId, provider_id: str, digest: str | None = None) -> bool:
        """Whether what a sidecar says of a provider counts; `digest` of what it runs, None: as last told."""
        own = provider_id.startswith(f"{sidecar.namespace}/")  # also while it is not in force
        if own or provider_id in self._reconciler.usable(sidecar.namespace):
            return True
        if self._lately(sidecar, provider_id, digest):
            level, words = logging.INFO, "what a sidecar says of a provider that it had lately is passed over"
        else:
            words = "what a sidecar says of a provider that its namespace may not use is passed over"
            level = logging.WARNING
        if self._meddling.get(sidecar, logging.NOTSET) < level:
            self._meddling[sidecar] = level
            extra = {"sidecar": str(sidecar), "provider": provider_id[:MAX_NAME_CHARS]}
            log.log(level, words, extra=extra)
        return False

    def _lately(self, sidecar: SidecarId, provider_id: str, digest: str | None) -> bool:
        """Whether a sidecar may have had the provider a moment ago; one that runs nothing has had none."""
        group = self._group(sidecar)
        running = self._collector.runs_now(sidecar) if digest is None else digest
        if running and running != self._publisher.wanted_digest(*group):
            return True
        return self._publisher.versions.held(group, provider_id)  # its answer has overtaken its reports

    def _holds(self, sidecar: SidecarId) -> tuple[str, frozenset[str]]:
        """Return a sidecar's profile and the providers of its snapshot."""
        group = self._group(sidecar)
        return group[1], self._reconciler.held(group)

    def _group(self, sidecar: SidecarId) -> tuple[str, str]:
        return self._collector.group(sidecar) or (sidecar.namespace, "")

    def _runs(self, sidecar: SidecarId, running: Running) -> None:
        if self._collector.still_runs(sidecar, running):
            return
        before = self._collector.behind(sidecar)
        if self._collector.runs(sidecar, running):
            self._progress(sidecar, before)

    def _progress(self, sidecar: SidecarId, before: frozenset[str] | None) -> None:
        """What the sidecar runs may have changed: the status of what it ran or runs otherwise says so, soon.

        `before` is what it was behind with; None: everything is to be looked at.
        """
        group = self._group(sidecar)
        self._reconciler.converged(group)
        now = self._collector.behind(sidecar)
        if before is None or now is None:
            self._statuses.look_at_all(group[0], PROGRESS_S)
        else:
            for provider_id in before | now:
                self._look_at(provider_id, PROGRESS_S)
        self._statuses.look_at(ObjectKey(Kind.PROXY_PROFILE, *group), PROGRESS_S)

    def _look_at(self, provider_id: str, after_s: float) -> None:
        namespace, _, name = provider_id.partition("/")
        self._statuses.look_at(ObjectKey(Kind.LLM_PROVIDER, namespace, name), after_s)
