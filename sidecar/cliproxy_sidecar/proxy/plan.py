"""A snapshot made ready to serve: targets, and per target all that does not depend on the request.

Addresses and fixed headers are worked out once per snapshot; connections are shared with the plan before
where the provider's pool settings did not change. What to choose is `core.selection`'s.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from cliproxy_api.snapshot import ConnectionPool, Credential, Provider, SnapshotPush
from cliproxy_sidecar.core.addresses import upstream_url
from cliproxy_sidecar.core.asked_usage import may_ask
from cliproxy_sidecar.core.dialect import Form, Operation, form_of
from cliproxy_sidecar.core.headers import (
    FixedHeaders,
    UnusableCredentialError,
    block_of,
    fixed_headers,
    printable,
)
from cliproxy_sidecar.core.limits.limits import InForce
from cliproxy_sidecar.core.outcome import Outcome
from cliproxy_sidecar.core.preference import Preferences
from cliproxy_sidecar.core.routing import RoutingTable
from cliproxy_sidecar.core.selection import Chooser
from cliproxy_sidecar.core.target import Target
from cliproxy_sidecar.core.translate.pairs import pair_for
from cliproxy_sidecar.core.translate.translation import Pair
from cliproxy_sidecar.proxy.drill import drilled
from cliproxy_sidecar.proxy.reuse.front import Reuse
from cliproxy_sidecar.proxy.reuse.shelf import Shelf
from cliproxy_sidecar.proxy.upstream import Connections, Upstream
from cliproxy_sidecar.runtime.clock import now_s
from cliproxy_sidecar.runtime.logs import HIDDEN
from cliproxy_sidecar.runtime.machines import Machines
from cliproxy_sidecar.runtime.tasks import Tasks

log = logging.getLogger(__name__)

Dial = Callable[[ConnectionPool], Upstream]
"""Makes a client with its own connection pool."""


@dataclass(slots=True, eq=False)
class Line:
    """The connections to one provider, shared by the plans that hold it."""

    upstream: Upstream
    pool: ConnectionPool
    holders: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """How one operation is put to one target: all that no request changes."""

    operation: Operation
    """As the provider is asked."""
    form: Form
    pair: Pair | None
    """How it is translated; None: not at all."""
    url: str
    fixed: FixedHeaders
    named: bytes
    """What tells the caller where the answer came from, as a block of headers."""
    upstream: Upstream
    asks_usage: bool
    """It is asked for a stream's usage where the caller does not ask."""


class Plan:
    """What one snapshot runs on; held by the sidecar and by every request that began with it."""

    def __init__(self, push: SnapshotPush, machines: Machines, previous: "Plan | None") -> None:
        self.fixed: dict[tuple[str, str], FixedHeaders] = {}
        providers = tuple(self._usable(provider, push.secrets) for provider in push.snapshot.providers)
        self.snapshot = msgspec.structs.replace(push.snapshot, providers=providers)
        self.limits = push.snapshot.profile.limits
        self.retry_timeout_s = push.snapshot.profile.retry_budget.timeout_s
        self.table: RoutingTable = RoutingTable(
            providers, previous=None if previous is None else previous.table
        )
        self.preferences: Preferences = Preferences(
            push.snapshot.profile,
            machines.allowances,
            machines.chance,
            None if previous is None else previous.preferences,
        )
        self.preferences.retain(self.table.target_ids())
        self.in_force: InForce = machines.limits.configure(self.snapshot, push.secrets, now_s())
        self.gates = self.in_force.gates
        """By provider id: the limits of our own; None: there are none."""
        for complaint in self.in_force.complaints:
            log.warning("%s", complaint)
        self.chooser = Chooser(self.table, machines.cooldowns, machines.health, self.preferences, self.gates)
        self.secrets = tuple(secret.encode() for secret in set(push.secrets.values()) if secret)
        self.lines: dict[str, Line] = {}
        self.upstreams: dict[str, Upstream] = {}
        """By provider id: what requests are sent with; the line's own client but for drills."""
        self.holders = 0
        self.reuse: Reuse | None = None
        """None: every request is asked of a provider on its own."""
        self._routes: dict[tuple[Target, Operation, bool], Route] = {}

    def _usable(self, provider: Provider, secrets: dict[str, str]) -> Provider:
        """Leave out credentials that no header can carry: one bad key must not stop the others."""
        usable: list[Credential] = []
        for credential in provider.credentials:
            try:
                key = secrets[credential.secret] if credential.secret else None
                fixed = fixed_headers(provider, key)
            except UnusableCredentialError as error:
                log.warning("%s: credential %s is left out: %s", provider.id, credential.name, error)
                continue
            self.fixed[provider.id, credential.name] = fixed
            usable.append(credential)
        if len(usable) == len(provider.credentials):
            return provider
        return msgspec.structs.replace(provider, credentials=tuple(usable))

    def cleaned(self, outcome: Outcome) -> Outcome:
        """Return the outcome without our keys: a provider may repeat one as its error's code."""
        said = f"{outcome.code} {outcome.header}".encode()
        if not any(secret in said for secret in self.secrets):
            return outcome
        return replace(outcome, code=HIDDEN, header=None)

    def route(self, target: Target, operation: Operation, *, stream: bool) -> Route:
        """Return how an operation is put to a target, streamed or not."""
        return self._routes.get((target, operation, stream)) or self._route(target, operation, stream=stream)

    def _route(self, target: Target, operation: Operation, *, stream: bool) -> Route:
        provider_id, credential, model = target.id
        form = form_of(target.provider)
        pair = pair_for(operation, form, stream=stream)
        asked = operation if pair is None else pair.upstream
        named = block_of(
            (
                (b"x-cliproxy-provider", printable(target.provider.name)),
                (b"x-cliproxy-model", printable(model)),
            )
        )
        route = self._routes[target, operation, stream] = Route(
            operation=asked,
            form=form,
            pair=pair,
            url=upstream_url(target.provider, asked, model),
            fixed=self.fixed[provider_id, credential],
            named=named,
            upstream=self.upstreams[provider_id],
            asks_usage=stream and pair is None and may_ask(target.provider, operation),
        )
        return route


class Plans:
    """Makes plans and closes connections that no plan needs any more."""

    def __init__(self, dial: Dial, machines: Machines, tasks: Tasks, shelf: Shelf) -> None:
        self._dial = dial
        self._machines = machines
        self._shelf = shelf
        self._tasks = tasks
        self._latest: Plan | None = None
        self._newest: dict[str, Line] = {}
        self._open: set[Line] = set()

    def prepare(self, push: SnapshotPush) -> Plan:
        """Return a plan for the snapshot, held once (by the sidecar that will run it)."""
        plan = Plan(push, self._machines, self._latest)
        plan.holders = 1
        for provider in plan.snapshot.providers:
            line = self._newest.get(provider.id)
            if line is None or line.pool != provider.pool:
                line = Line(self._dial(provider.pool), provider.pool)
                self._open.add(line)
            line.holders += 1
            plan.lines[provider.id] = line
            drill = plan.snapshot.profile.drill
            plan.upstreams[provider.id] = drilled(line.upstream, drill, provider.name, self._machines.chance)
        self._newest = dict(plan.lines)
        self._latest = plan
        self._shelf.configure(plan.snapshot, push.secrets)
        plan.reuse = self._reuse(plan)
        self._machines.chooser = plan.chooser
        return plan

    def _reuse(self, plan: Plan) -> Reuse | None:
        profile = plan.snapshot.profile
        if profile.cache is None and not profile.coalescing and profile.batching is None:
            return None
        return Reuse(profile, plan.table, self._shelf, self._tasks)

    def connections(self) -> dict[str, dict[str, Connections] | None]:
        """Return the connections of the newest plan by provider's id and origin (see `Upstream`)."""
        return {name: line.upstream.connections() for name, line in self._newest.items()}

    def release(self, plan: Plan) -> None:
        """Let go of a plan once; the last holder closes what only this plan used."""
        plan.holders -= 1
        if plan.holders > 0:
            return
        for line in plan.lines.values():
            line.holders -= 1
            if line.holders == 0:
                self._tasks.spawn(self._close(line), "close connections")

    async def aclose(self) -> None:
        """Close all connections, whoever may still hold them."""
        for line in list(self._open):
            await self._close(line)

    async def _close(self, line: Line) -> None:
        await line.upstream.aclose()
        self._open.discard(line)
