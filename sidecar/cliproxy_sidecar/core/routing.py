"""Which targets serve a model, in which order of preference and in which shares: built once per snapshot.

The order of turns inside a group is kept here; who may take a turn is `selection`'s, who is preferred among
them `strategies`'.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cliproxy_api.snapshot import Model, Provider
from cliproxy_sidecar.core.decisions import MAX_CANDIDATES, How
from cliproxy_sidecar.core.dialect import Need, form_of, serves
from cliproxy_sidecar.core.target import Target, TargetId


class SmoothRoundRobin:
    """Targets that share traffic by weight, as evenly spread in time as can be.

    The method of nginx's upstream module: every candidate earns its weight, the richest takes the turn and
    pays what all have earned. Who is no candidate neither earns nor pays, and has its place on return.
    """

    __slots__ = ("_credits", "everyone", "how", "targets", "weights")

    def __init__(self, weighted: Iterable[tuple[Target, float]]) -> None:
        pairs = tuple(weighted)
        self.targets: Final = tuple(target for target, _ in pairs)
        self.everyone: Final = tuple(range(len(pairs)))
        self.weights: Final = tuple(weight for _, weight in pairs)
        self._credits = [0.0] * len(pairs)
        self.how: Final = self.how_among(self.everyone)
        """What a plain turn of everyone is put down as."""

    def pick(self, candidates: Sequence[int]) -> int:
        """Give the turn to one of the candidates (positions in `targets`, at least one); return which."""
        if len(candidates) == 1:
            return candidates[0]
        credits_, weights = self._credits, self.weights
        best, most, total = candidates[0], float("-inf"), 0.0
        for position in candidates:
            weight = weights[position]
            total += weight
            credits_[position] = credit = credits_[position] + weight
            if credit > most:
                best, most = position, credit
        credits_[best] -= total
        return best

    def how_among(self, candidates: Sequence[int]) -> How:
        """Return what a plain turn of these candidates is put down as."""
        listed = candidates[:MAX_CANDIDATES]
        ids = tuple(self.targets[position].id for position in listed)
        by = "turn" if len(candidates) > 1 else "only"
        return How(ids, by, "weight", tuple(self.weights[position] for position in listed), ids)

    def credit_by_id(self) -> dict[TargetId, float]:
        """Return how far each target is ahead of its turn."""
        return {target.id: credit for target, credit in zip(self.targets, self._credits, strict=True)}

    def continue_from(self, credit_by_id: dict[TargetId, float]) -> None:
        """Take over the turns of an earlier table, so that a new snapshot does not start them all again."""
        self._credits = [credit_by_id.get(target.id, 0.0) for target in self.targets]


@dataclass(frozen=True, slots=True)
class PublicModel:
    """A model name that callers may ask for."""

    name: str
    owner: str
    """Name of the provider that is preferred for it."""
    context_window_tokens: int | None
    """The smallest of those that are known."""


class RoutingTable:
    """All routes of one snapshot's providers, sorted by id."""

    def __init__(self, providers: tuple[Provider, ...], *, previous: "RoutingTable | None" = None) -> None:
        self._routes: dict[Need, dict[str, tuple[SmoothRoundRobin, ...]]] = {}
        by_name: dict[str, list[tuple[Provider, Model]]] = {}
        for provider in providers:
            for model in provider.models:
                by_name.setdefault(model.name, []).append((provider, model))
        for need in Need:
            self._routes[need] = routes = {}
            for name, served in by_name.items():
                fitting = [item for item in served if serves(form_of(item[0]), need)]
                groups = _groups(fitting)
                if groups:
                    routes[name] = groups
                    _continue(groups, previous.groups(need, name) if previous is not None else None)
        self.models: Final = tuple(_public(name, served) for name, served in sorted(by_name.items()))
        """Sorted by name."""
        self._known: Final = frozenset(by_name)

    def groups(self, need: Need, model: str) -> tuple[SmoothRoundRobin, ...] | None:
        """Return the groups of targets for a model, the preferred first; None: nobody serves it like that."""
        return self._routes[need].get(model)

    def target_ids(self) -> frozenset[TargetId]:
        """Return the names of all targets."""
        return frozenset(
            target.id
            for routes in self._routes.values()
            for groups in routes.values()
            for group in groups
            for target in group.targets
        )

    def knows(self, model: str) -> bool:
        """Return whether any provider serves the model, in whatever format."""
        return model in self._known


def _groups(served: Sequence[tuple[Provider, Model]]) -> tuple[SmoothRoundRobin, ...]:
    """Return a group per priority number, and behind it one of those with weight 0: for when it fails."""
    groups: list[SmoothRoundRobin] = []
    for priority in sorted({provider.priority for provider, _ in served}):
        weighted = [
            pair
            for provider in dict.fromkeys(
                provider.id for provider, _ in served if provider.priority == priority
            )
            for pair in _weighted([item for item in served if item[0].id == provider])
        ]
        mains = [(target, weight) for target, weight in weighted if weight > 0]
        spares = [(target, 1.0) for target, weight in weighted if weight == 0]
        groups += [SmoothRoundRobin(members) for members in (mains, spares) if members]
    return tuple(groups)


def _weighted(served: Sequence[tuple[Provider, Model]]) -> list[tuple[Target, float]]:
    """Spread one provider's weight over its credentials by their weights, evenly over its upstream models."""
    whole = sum(credential.weight for credential in served[0][0].credentials) * len(served)
    return [
        (Target(provider, credential, model), provider.weight * credential.weight / whole if whole else 0.0)
        for provider, model in served
        for credential in provider.credentials
    ]


def _continue(groups: tuple[SmoothRoundRobin, ...], previous: tuple[SmoothRoundRobin, ...] | None) -> None:
    credit_by_id: dict[TargetId, float] = {}
    for group in previous or ():
        credit_by_id |= group.credit_by_id()
    for group in groups:
        group.continue_from(credit_by_id)


def _public(name: str, served: Sequence[tuple[Provider, Model]]) -> PublicModel:
    windows = [model.context_window_tokens for _, model in served if model.context_window_tokens is not None]
    return PublicModel(
        name=name,
        owner=min(served, key=lambda item: (item[0].priority, item[0].id))[0].name,
        context_window_tokens=min(windows, default=None),
    )
