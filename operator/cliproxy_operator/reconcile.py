"""Namespaces to snapshots: gather, compile, publish, again whenever something changed.

Level-based: what changed does not matter, only that something did. Runs on the leader (and one adrift); the
rules are `compile.py`'s, who is concerned by a change is `concern.py`'s.
"""

import logging
from collections.abc import Callable, KeysView, Mapping
from dataclasses import dataclass
from typing import Final, Self

from cliproxy_api.references import secret_references
from cliproxy_api.resources.common import ObjectMeta
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.proxyprofile import ProxyProfile
from cliproxy_api.snapshot import Provider
from cliproxy_operator.adopting import Adoptions
from cliproxy_operator.clock import Clock
from cliproxy_operator.collect import Collector, Group
from cliproxy_operator.compile import Compiled, compile_namespace, needed_secrets
from cliproxy_operator.gather import Gatherer
from cliproxy_operator.host import FleetHost
from cliproxy_operator.inputs import Inputs, Kind, ObjectKey, key_of
from cliproxy_operator.memo import Memo
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.publish import Publisher
from cliproxy_operator.spending import Spending
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.vault import SecretName, Vault
from cliproxy_operator.workqueue import WorkQueue

log = logging.getLogger(__name__)

DEBOUNCE_S: Final = 0.02
"""`kubectl apply` of several objects becomes one snapshot."""
_NOBODY: Final[Mapping[str, Provider]] = {}


@dataclass(frozen=True, slots=True)
class Result:
    """What a namespace came to, and from which generations of which objects."""

    compiled: Compiled
    generations: Mapping[ObjectKey, int]
    uids: Mapping[ObjectKey, str]
    held: Mapping[str, frozenset[str]]
    """By profile: the ids of the providers in its snapshot."""

    @classmethod
    def of(cls, compiled: Compiled, inputs: Inputs) -> Self:
        """Return the result of a compilation."""
        entries = _entries(inputs)
        held = {
            profile: frozenset(provider.id for provider in snapshot.providers)
            for profile, snapshot in compiled.snapshots.items()
        }
        return cls(
            compiled,
            generations={key: one.generation for key, one in entries.items()},
            uids={key: one.uid for key, one in entries.items()},
            held=held,
        )

    def judged(self, key: ObjectKey, uid: str) -> bool:
        """Whether this speaks of that very object, and not of one that had its name before."""
        return self.uids.get(key) == uid

    def changes(self, before: Self | None) -> frozenset[ObjectKey]:
        """Return the objects whose status has to be judged anew after `before`; profiles always are."""
        if before is None:
            return frozenset(self.generations) | self.guests()
        return self._news_of_guests(before) | frozenset(
            key
            for key, generation in self.generations.items()
            if key.kind is Kind.PROXY_PROFILE
            or generation != before.generations.get(key)
            or self.uids[key] != before.uids.get(key)
            or self.compiled.diagnostics.get(key) != before.compiled.diagnostics.get(key)
            or self.compiled.policy_users.get(key) != before.compiled.policy_users.get(key)
            or self.compiled.providers.get(key.id) != before.compiled.providers.get(key.id)
            or self.holders(key.id) != before.holders(key.id)
        )

    def holders(self, provider_id: str) -> list[str]:
        """Return the profiles whose snapshots hold a provider."""
        return [profile for profile, held in self.held.items() if provider_id in held]

    def guests(self) -> frozenset[ObjectKey]:
        """Return the providers of other namespaces that snapshots hold: their status counts our sidecars."""
        held = frozenset[str]().union(*self.held.values())
        keys = (provider_key(id_) for id_ in held)
        return frozenset(key for key in keys if key not in self.generations)

    def _news_of_guests(self, before: Self) -> frozenset[ObjectKey]:
        guests = self.guests() | before.guests()
        return frozenset(key for key in guests if self.holders(key.id) != before.holders(key.id))


class Reconciler:
    """The queue of namespaces and the results."""

    def __init__(
        self,
        *,
        gatherer: Gatherer,
        vault: Vault,
        publisher: Publisher,
        collector: Collector,
        host: FleetHost,
        spending: Spending,
        adoptions: Adoptions,
        clock: Clock,
        metrics: Metrics,
        tasks: Tasks,
        on_done: Callable[[str, frozenset[ObjectKey]], None],
    ) -> None:
        """`on_done` is told each namespace whose result is new, and the objects it is news for."""
        self._gatherer = gatherer
        self._vault = vault
        self._publisher = publisher
        self._collector = collector
        self._host = host
        self._spending = spending
        self._adoptions = adoptions
        self._clock = clock
        self._metrics = metrics
        self._on_done = on_done
        self._memos: dict[str, Memo] = {}
        self._needed: dict[str, frozenset[SecretName]] = {}
        self._judged: dict[str, Result] = {}
        self._changed_s: dict[str, float] = {}
        self._converging: dict[Group, float] = {}
        self._adopted: set[ObjectKey] = set()
        """Objects that have taken over restored state since the last publication."""
        self.results: dict[str, Result] = {}
        self.active = False
        """Whether results are wanted: on the leader. A standby only keeps the Secrets at hand."""
        self.queue: WorkQueue[str] = WorkQueue(
            self._work,
            name="reconcile",
            clock=clock,
            tasks=tasks,
            on_defect=lambda name: metrics.loop_failures.labels(name).inc(),
        )

    def changed(self, namespace: str) -> None:
        """Something that the namespace's snapshots depend on has changed."""
        if self.active:
            self._changed_s.setdefault(namespace, self._clock.now())
        self.queue.add(namespace, DEBOUNCE_S)

    def reset(self) -> None:
        """Forget all results, as before a new leadership."""
        self.results.clear()
        self._judged.clear()
        self._changed_s.clear()
        self._converging.clear()
        self._spending.reset()
        self._adoptions.reset()
        self._adopted.clear()

    async def compile(self, namespace: str) -> Result:
        """Gather and compile, fetching Secrets not yet known; publishes nothing.

        The first time, the fleet takes over what an earlier leader wrote into the providers' status.

        Raises:
            ApiError: a Secret could not be asked for; what ran before goes on.

        """
        inputs = await self._inputs(namespace)
        compiled = compile_namespace(inputs, self._memo(namespace))
        result = Result.of(compiled, inputs)
        first = namespace not in self.results
        self.results[namespace] = result
        self._spending.configure(namespace, result.compiled)
        self._host.configure(namespace, result.compiled.providers)
        if first:
            self._spending.restore(namespace, inputs.providers, inputs.profiles)
            for provider in inputs.providers:
                if isinstance(provider, LLMProvider) and provider.metadata.namespace == namespace:
                    self._host.restore(f"{namespace}/{provider.metadata.name}", provider.status)
        self._adopt(inputs, result)
        return result

    def _adopt(self, inputs: Inputs, result: Result) -> None:
        """Take over what a backup brought along, once; a provider that is not in force yet waits with it."""
        now_utc = self._clock.utc()
        for entry in inputs.providers:
            if not isinstance(entry, LLMProvider) or entry.metadata.namespace != inputs.namespace:
                continue
            key = key_of(Kind.LLM_PROVIDER, entry)
            before = self._adoptions.wanted(key, entry, now_utc)
            if before is not None and key.id in result.compiled.providers:
                self._spending.restore(inputs.namespace, [before], [])
                self._host.restore(key.id, before.status)
                self._took(key, before)
        for profile in inputs.profiles:
            if not isinstance(profile, ProxyProfile):
                continue
            key = key_of(Kind.PROXY_PROFILE, profile)
            spent = self._adoptions.wanted(key, profile, now_utc)
            if spent is not None:
                self._spending.restore(inputs.namespace, [], [spent])
                self._took(key, spent)

    def _took(self, key: ObjectKey, before: LLMProvider | ProxyProfile) -> None:
        self._adoptions.took(key, before)
        self._adopted.add(key)

    async def _inputs(self, namespace: str) -> Inputs:
        """Gather; on a standby that alone keeps the needed Secrets at hand for the day it leads."""
        before = self._needed.get(namespace, frozenset())
        inputs = self._gatherer.inputs(namespace, before)
        needed = self._needed[namespace] = needed_secrets(inputs)
        unknown = self._vault.need(namespace, needed)
        if not unknown and needed == before:
            return inputs
        if unknown:
            await self._gatherer.fetch(unknown)
        return self._gatherer.inputs(namespace, needed)

    def publish(self, namespace: str) -> None:
        """Publish what the namespace came to, and tell the fleet which sidecar holds what."""
        result = self.results.get(namespace)
        if result is None:
            return
        snapshots = result.compiled.snapshots
        references = {name for snapshot in snapshots.values() for name in secret_references(snapshot)}
        changed = self._publisher.publish_snapshots(namespace, snapshots, self._vault.values(references))
        self._host.settle()
        self._collector.republished(namespace)
        since_s = self._changed_s.pop(namespace, None)
        if since_s is not None:
            for group in [(namespace, profile) for profile in changed]:
                if self._collector.reported([group]):
                    self._converging.setdefault(group, since_s)
        for known in self._collector.all():
            if known.id.namespace == namespace and known.linked:
                self._host.present(known.id, result.held.get(known.profile, frozenset()))
        for group in [group for group in self._converging if group[0] == namespace]:
            self.converged(group)
        news = result.changes(self._judged.get(namespace)) | self._adopted
        self._adopted = set()
        self._judged[namespace] = result
        self._on_done(namespace, news)

    def held(self, group: Group) -> frozenset[str]:
        """Return the ids of the providers in a group's snapshot."""
        result = self.results.get(group[0])
        return result.held.get(group[1], frozenset()) if result is not None else frozenset()

    def usable(self, namespace: str) -> KeysView[str]:
        """Return the providers (ids) in force that a namespace may use: its own, and those lent to it."""
        result = self.results.get(namespace)
        return result.compiled.providers.keys() if result is not None else _NOBODY.keys()

    def guests(self, namespace: str) -> frozenset[ObjectKey]:
        """Return the providers of other namespaces that a namespace's snapshots hold."""
        result = self.results.get(namespace)
        return result.guests() if result is not None else frozenset()

    def holders(self, provider_id: str) -> tuple[Group, ...]:
        """Return the groups whose snapshots hold a provider."""
        return tuple(
            (namespace, profile)
            for namespace, result in self.results.items()
            if provider_id in result.compiled.providers
            for profile in result.holders(provider_id)
        )

    def converged(self, group: Group) -> None:
        """A sidecar of the group is in sync, or gone: if all that are linked are, note how long it took."""
        if group not in self._converging:
            return
        if not self._collector.reported([group]):
            del self._converging[group]  # nobody is left whom it could be waited for
        elif self._collector.in_sync(group):
            self._metrics.convergence_s.observe(self._clock.now() - self._converging.pop(group))

    async def _work(self, namespace: str) -> None:
        started_s = self._clock.now()
        if namespace not in self._gatherer.namespaces():
            self._drop(namespace)
            return
        if not self.active:
            # Worked out now, so that the day it leads it need not: nobody cools anything meanwhile.
            compile_namespace(await self._inputs(namespace), self._memo(namespace))
            return
        await self.compile(namespace)
        self.publish(namespace)  # does nothing if we have stopped leading meanwhile
        self._metrics.reconcile_s.observe(self._clock.now() - started_s)

    def _memo(self, namespace: str) -> Memo:
        return self._memos.setdefault(namespace, Memo())

    def _drop(self, namespace: str) -> None:
        """Forget a namespace that holds nothing of ours any more."""
        self._vault.need(namespace, ())
        self._needed.pop(namespace, None)
        self._changed_s.pop(namespace, None)
        for group in [group for group in self._converging if group[0] == namespace]:
            del self._converging[group]
        self._publisher.drop(namespace)
        self._host.drop(namespace)
        self._spending.drop(namespace)
        before = self.results.pop(namespace, None)
        self._judged.pop(namespace, None)
        self._memos.pop(namespace, None)
        self._on_done(namespace, before.guests() if before is not None else frozenset())


def provider_key(provider_id: str) -> ObjectKey:
    """Return the object that an id names."""
    namespace, _, name = provider_id.partition("/")
    return ObjectKey(Kind.LLM_PROVIDER, namespace, name)


def _entries(inputs: Inputs) -> dict[ObjectKey, ObjectMeta]:
    """Return the namespace's own objects."""
    kinds = (
        (Kind.LLM_PROVIDER, inputs.providers),
        (Kind.COOLDOWN_POLICY, inputs.policies),
        (Kind.PROXY_PROFILE, inputs.profiles),
        (Kind.ALERT_RULE, inputs.alert_rules),
    )
    return {
        key: entry.metadata
        for kind, entries in kinds
        for entry in entries
        if (key := key_of(kind, entry)).namespace == inputs.namespace
    }
