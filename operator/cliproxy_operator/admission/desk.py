"""Answers admission questions with what this replica knows: template and store. It looks up nothing.

What is right and wrong is decided in `pods`, `objects` and `doubts`. The API server shows no certificate, so
whoever reaches the port may ask, in anybody's name: an answer tells nothing that needs rights of ours.
"""

from collections.abc import Callable
from dataclasses import replace

from cliproxy_api.audit import AuditEvent, AuditOutcome
from cliproxy_api.resources.cooldownpolicy import CooldownPolicy
from cliproxy_api.resources.proxyprofile import ProxyProfile
from cliproxy_api.vocabulary import PROFILE_ANNOTATION
from cliproxy_operator.admission.asked import asked_change
from cliproxy_operator.admission.doubts import Surroundings, doubts
from cliproxy_operator.admission.objects import admit_object, astray
from cliproxy_operator.admission.pods import admit_pod
from cliproxy_operator.admission.review import Answer, Request
from cliproxy_operator.audit import Audit
from cliproxy_operator.gather import Gatherer
from cliproxy_operator.inject.shape import annotations_of
from cliproxy_operator.inject.template import Template
from cliproxy_operator.inject.verdict import Standing
from cliproxy_operator.inputs import AddressRules, Kind, ObjectKey


class Desk:
    """One replica's answers."""

    def __init__(
        self,
        *,
        gatherer: Gatherer,
        addresses: AddressRules,
        template: Callable[[], Template],
        own_namespace: str,
        audit: Audit,
    ) -> None:
        self._audit = audit
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
        if why := astray(request):
            return Answer(allowed=False, message=why), "refused"
        answer, entry = admit_object(request, self._addresses)
        self._tell(request, answer)
        if not answer.allowed:
            return answer, "refused"
        if entry is None:
            return answer, "allowed"
        found = doubts(entry, self._surroundings(request.namespace))
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

    def _surroundings(self, namespace: str) -> Surroundings:
        policies = [
            one
            for key in self._gatherer.keys(namespace)
            if key.kind is Kind.COOLDOWN_POLICY and isinstance(one := self._gatherer.one(key), CooldownPolicy)
        ]
        return Surroundings(
            policies=frozenset(one.metadata.name for one in policies),
            default_policies=frozenset(one.metadata.name for one in policies if one.spec.default),
        )
