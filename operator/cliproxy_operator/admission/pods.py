"""A pod that is about to be created -> allowed, always, maybe with a sidecar."""

from typing import Final

from cliproxy_operator.admission.review import Answer, Request
from cliproxy_operator.inject.injection import inject
from cliproxy_operator.inject.template import Template
from cliproxy_operator.inject.verdict import NEVER_NAMESPACES, Standing

LEFT: Final = Standing.LEAVE.value


def admit_pod(request: Request, template: Template, *, own_namespace: str) -> tuple[Answer, str]:
    """Return the answer and, for metrics, what became of the pod in one bounded word.

    Servers before 1.21 do not label namespaces with their names, so the excluded ones are excluded here too.
    """
    excluded = request.namespace in NEVER_NAMESPACES or request.namespace == own_namespace
    if excluded or request.operation != "CREATE" or request.kind.kind != "Pod" or request.object is None:
        return Answer(), LEFT
    injection = inject(request.object, template)
    verdict = injection.verdict
    return Answer(
        patch=injection.patch, warnings=injection.warnings
    ), verdict.reason or verdict.standing.value
