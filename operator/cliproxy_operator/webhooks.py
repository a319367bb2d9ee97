"""The webhooks of one replica put together: template, answers, HTTPS, survey. Nothing is decided here.

Started beside `wiring.Operator`, of whose parts it is made; off unless the environment asks for webhooks.
"""

from collections.abc import Awaitable, Callable

from cliproxy_operator.admission.app import make_admission_app
from cliproxy_operator.admission.authority import Authority
from cliproxy_operator.admission.desk import Desk
from cliproxy_operator.admission.serving import Serving
from cliproxy_operator.admission.templates import Templates
from cliproxy_operator.settings_webhooks import Certificate, WebhookSettings
from cliproxy_operator.wiring import Operator


class Webhooks:
    """All parts of the webhooks."""

    def __init__(self, operator: Operator, settings: WebhookSettings) -> None:
        replica = operator.replica
        self._operator = operator
        self._settings = settings
        self.templates = Templates(kube=replica.kube, settings=settings, operator=replica.settings)
        self.serving = Serving(
            kube=replica.kube,
            settings=settings,
            namespace=replica.settings.pod_namespace,
            metrics=replica.metrics,
            tasks=replica.tasks,
        )
        self._authority = Authority(
            kube=replica.kube,
            settings=settings,
            namespace=replica.settings.pod_namespace,
            clock=replica.clock,
            may_write=replica.leader.may_write,
        )
        desk = Desk(
            gatherer=replica.gatherer,
            addresses=replica.addresses,
            template=lambda: self.templates.current,
            own_namespace=replica.settings.pod_namespace,
            audit=replica.audit,
        )
        self._app = make_admission_app(desk, replica.metrics)

    def start(self) -> None:
        """Start all loops; they end with the operator's tasks."""
        loops: dict[str, Callable[[], Awaitable[None]]] = {
            "server version": self.templates.run,
            "webhooks": self._serve,
            "survey": self._survey,
        }
        if self._settings.certificate is Certificate.OWN:
            loops["webhook authority"] = self._authority.run
        for name, work in loops.items():
            self._operator.replica.tasks.forever(work, name)
        self._operator.conditions.append(lambda: self.serving.problem)

    async def _serve(self) -> None:
        await self.serving.run(self._app)

    async def _survey(self) -> None:
        await self._operator.survey.run(
            digest=lambda: self.templates.current.digest, interval_s=self._settings.survey_interval_s
        )
