"""Answers admission questions with what this replica knows: template, store, and a look at named Secrets.

What is right and wrong is decided in `pods`, `objects` and `doubts`.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from cliproxy_api.audit import AuditEvent, AuditOutcome
from cliproxy_api.resources.cooldownpolicy import CooldownPolicy
from cliproxy_api.resources.parse import Resource
from cliproxy_api.resources.proxyprofile import ProxyProfile
from cliproxy_api.vocabulary import PROFILE_ANNOTATION
from cliproxy_operator.admission.asked import asked_change
from cliproxy_operator.admission.doubts import Surroundings, doubts, secrets_named
from cliproxy_operator.admission.objects import admit_object
from cliproxy_operator.admission.pods import admit_pod
from cliproxy_operator.admission.review import Answer, Request
from cliproxy_operator.audit import Audit
from cliproxy_operator.gather import Gatherer
from cliproxy_operator.inject.shape import annotations_of
from cliproxy_operator.inject.template import Template
from cliproxy_operator.inject.verdict import Standing
from cliproxy_operator.inputs import AddressRules, Kind, ObjectKey
from cliproxy_operator.kinds import SECRET
from cliproxy_operator.kube import ApiError, Kube

SECRETS_S: Final = 1.0
"""Doubts are not worth more of the webhook's time-out."""
MAX_SECRETS: Final = 8


class Desk:
    """One replica's answers."""

    def __init__(
        self,
        *,
        kube: Kube,
        gatherer: Gatherer,
        addresses: AddressRules,
        template: Callable[[], Template],
        own_namespace: str,
        audit: Audit,
    ) -> None:
        self._audit = audit
        self._kube = kube
        self._gatherer = gatherer
        self._addresses = addresses
        self._template = template
        self._own_namespace = own_namespace

    async def pod(self, request: Request) -> tuple[Answer, str]:
        """Answer about a pod; with the result in a word."""
        answer, result = admit_pod(request, self._template(), own_namespace=self._own_namespace)
        profile = annotations_of(request.object or {}).get(PROFILE_ANNOTATION, "")
        if result == Standing.INJECT and profile and self._lacks(request.namespace, profile):
            sentence = (
                f"cliproxy: there is no valid ProxyProfile {profile!r} in this namespace;"
                " the pod will not be ready before there is"
            )
            answer = replace(answer, warnings=(*answer.warnings, sentence))
        return answer, result

    async def object(self, request: Request) -> tuple[Answer, str]:
        """Answer about an object of ours; with the result in a word."""
        answer, entry = admit_object(request, self._addresses)
        self._tell(request, answer)
        if not answer.allowed:
            return answer, "refused"
        if entry is None:
            return answer, "allowed"
        found = doubts(entry, await self._surroundings(request.namespace, entry))
        return (Answer(warnings=found), "doubted") if found else (answer, "allowed")

    def _tell(self, request: Request, answer: Answer) -> None:
        asked = asked_change(request)
        if asked is None:
            return
        verb, fields = asked
        self._audit.tell(
            AuditEvent.CONFIGURATION_REQUEST,
            AuditOutcome.DONE if answer.allowed else AuditOutcome.REFUSED,
            reason=verb if answer.allowed else answer.message,
            who=request.user_info.username,
            subject=f"{request.kind.kind}/{request.namespace}/{request.name or '(to be named)'}",
            verb=verb,
            fields=list(fields),
        )

    def _lacks(self, namespace: str, profile: str) -> bool:
        entry = self._gatherer.one(ObjectKey(Kind.PROXY_PROFILE, namespace, profile))
        return not isinstance(entry, ProxyProfile)

    async def _surroundings(self, namespace: str, entry: Resource) -> Surroundings:
        policies = [
            one
            for key in self._gatherer.keys(namespace)
            if key.kind is Kind.COOLDOWN_POLICY and isinstance(one := self._gatherer.one(key), CooldownPolicy)
        ]
        return Surroundings(
            policies=frozenset(one.metadata.name for one in policies),
            default_policies=frozenset(one.metadata.name for one in policies if one.spec.default),
            secrets=await self._secrets(namespace, secrets_named(entry)),
        )

    async def _secrets(self, namespace: str, names: Iterable[str]) -> Mapping[str, frozenset[str] | None]:
        """Return the keys of these Secrets; those that cannot be read in time are left out."""
        known: dict[str, frozenset[str] | None] = {}

        async def look(name: str) -> None:
            raw = await self._kube.get(SECRET, namespace, name)
            known[name] = None if raw is None else frozenset(raw.get("data") or {})

        try:
            async with asyncio.timeout(SECRETS_S):
                await asyncio.gather(*(look(name) for name in sorted(names)[:MAX_SECRETS]))
        except (TimeoutError, ApiError):
            pass  # then there is nothing to doubt
        return known
