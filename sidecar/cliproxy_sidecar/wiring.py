"""Puts the parts of one sidecar together and takes them apart again.

Settings in, a running `Sidecar` out. Signals and exit codes are `__main__`'s, everything else the parts'.
"""

import asyncio
import logging
from typing import Any, Final

import msgspec

from cliproxy_api import codec
from cliproxy_api.audit import AuditEvent, AuditOutcome
from cliproxy_api.chance import Chance
from cliproxy_api.report import Applied, Hello, Report, Traffic
from cliproxy_api.snapshot import ConnectionPool, Snapshot
from cliproxy_api.state import StatePush
from cliproxy_api.version import __version__
from cliproxy_sidecar.admin.control import BearerToken, ControlApp, OperatorCertificate
from cliproxy_sidecar.admin.door import OperationsDoor
from cliproxy_sidecar.admin.health import HealthApp
from cliproxy_sidecar.controltls import MountedContext, operator_only
from cliproxy_sidecar.core.kept_state import still_cooling
from cliproxy_sidecar.core.tracing.otlp import resource
from cliproxy_sidecar.proxy.app import ProxyApp
from cliproxy_sidecar.proxy.figures import connections_view
from cliproxy_sidecar.proxy.h1.client import EngineUpstream
from cliproxy_sidecar.proxy.plan import Dial, Plan, Plans
from cliproxy_sidecar.proxy.probe import HttpProbe
from cliproxy_sidecar.proxy.reuse.figures import cache_view, reused
from cliproxy_sidecar.proxy.reuse.shelf import Shelf
from cliproxy_sidecar.proxy.server.asgi import aside
from cliproxy_sidecar.proxy.server.listener import Listener
from cliproxy_sidecar.proxy.tracing.exporter import Exporter
from cliproxy_sidecar.proxy.tracing.tracer import Tracer
from cliproxy_sidecar.runtime.asgi import logged
from cliproxy_sidecar.runtime.attempts import attempt_families
from cliproxy_sidecar.runtime.audit import Audit
from cliproxy_sidecar.runtime.clock import CHANCE, utc_now
from cliproxy_sidecar.runtime.figures import Figures
from cliproxy_sidecar.runtime.gauges import show_log_file, show_machines
from cliproxy_sidecar.runtime.lastgood import SNAPSHOT, STATE, LastGood, read_document
from cliproxy_sidecar.runtime.logs import Logs
from cliproxy_sidecar.runtime.machines import Machines
from cliproxy_sidecar.runtime.metrics import Metrics
from cliproxy_sidecar.runtime.prober import Prober
from cliproxy_sidecar.runtime.reporter import Reporter
from cliproxy_sidecar.runtime.snapshots import Snapshots
from cliproxy_sidecar.runtime.tasks import Tasks
from cliproxy_sidecar.serverprotocol import prompt
from cliproxy_sidecar.servers import AsgiServer, Door, PortTaken, Servers
from cliproxy_sidecar.settings import Settings, UpstreamKind

log = logging.getLogger(__name__)

CONTROL_KEEP_ALIVE_S: Final = 7200
"""Longer than the operator keeps an idle connection, so that it is the one to close."""


LOG_DRAIN_S: Final = 2.0
"""How long the last lines may take to reach their file; the disk may hang."""
TRACE_DRAIN_S: Final = 3.0
"""How long the last spans may take to get out; a receiver that is away must not hold up a pod's end."""


def _about(settings: Settings) -> tuple[bytes, bytes]:
    """Return what every batch of spans says about this process."""
    told = {
        "service.name": "cliproxy-sidecar",
        "service.version": __version__,
        "service.instance.id": f"{settings.namespace}/{settings.pod_name}",
        "k8s.namespace.name": settings.namespace,
        "k8s.pod.name": settings.pod_name,
    }
    return resource(told, scope="cliproxy", version=__version__)


def dial_of(kind: UpstreamKind) -> Dial:
    """Return what makes a client of this kind."""
    if kind == "engine":
        return EngineUpstream
    # Not needed by most, and a fifth of the process's memory.
    from cliproxy_sidecar.proxy.upstream_aiohttp import AiohttpUpstream  # noqa: PLC0415

    return AiohttpUpstream


class Sidecar:
    """One sidecar; made and run inside a running event loop."""

    def __init__(
        self, settings: Settings, logs: Logs, *, chance: Chance = CHANCE, dial: Dial | None = None
    ) -> None:
        self.settings = settings
        self.logs = logs
        self._booted = False
        """What is activated now comes from the operator."""
        self.audit = Audit(logs)
        self.tasks = Tasks()
        self.metrics = Metrics()
        self.reporter = Reporter(
            standing=self._standing,
            traffic=self._traffic,
            attached=self._attached,
            used=self._used,
        )
        self.machines = Machines(sidecar=settings.pod_name, chance=chance, tell=self.reporter.tell)
        show_machines(self.metrics, self.machines, self.reporter)
        self.metrics.source(lambda: attempt_families(self.machines))
        show_log_file(self.metrics, logs.writer)
        self.shelf = Shelf(self.metrics, self.tasks)
        self.plans = Plans(dial or dial_of(settings.upstream), self.machines, self.tasks, self.shelf)
        folder = settings.state_dir
        self.last_good = None if folder is None else LastGood(folder, self.tasks)
        self.snapshots: Snapshots[Plan] = Snapshots(
            prepare=self.plans.prepare,
            activate=self._activate,
            adopt=self._adopt,
            adopted=self._adopted,
            keep=self.machines.keep,
            changed=lambda running: self.reporter.tell([Applied(running=running)]),
            taken=self._taken,
            led=self.machines.led_anew,
        )
        self.prober = Prober(self.machines, self.tasks, chance, HttpProbe(lambda: self.snapshots.current))
        self.health = HealthApp(
            digest=lambda: self.snapshots.running.digest,
            attached=lambda: self.reporter.attached,
            render_metrics=self.metrics.render,
        )
        figures = Figures(connections=self._connections, cache=self._cache)
        self.operations = OperationsDoor(
            self.machines, self._snapshot, figures, audit=self.audit, refused=self._stranger
        )
        self.proxy = ProxyApp(
            plans=self.plans,
            machines=self.machines,
            metrics=self.metrics,
            logs=logs,
            chance=chance,
            audit=self.audit,
            health=aside(self.health),
            operations=aside(self.operations),
        )
        self.traces = Exporter(
            dial=lambda: EngineUpstream(ConnectionPool(max_connections=2, max_idle_connections=1)),
            about=_about(settings),
            chance=chance,
            metrics=self.metrics,
        )
        self.listener = Listener(self.proxy.serve, self.tasks)
        self.servers = Servers(drain_timeout_s=settings.drain_timeout_s)

    async def start(self) -> None:
        """Boot from the snapshot file, if there is one, and open the doors.

        Raises:
            PortTaken: a port cannot be bound.

        """
        self.logs.writer.attach(asyncio.get_running_loop())
        self._boot()
        self._booted = True
        settings = self.settings
        observe = AsgiServer(
            "observe", logged(self.health), self.tasks, drain_timeout_s=settings.drain_timeout_s
        )
        doors = [
            Door("proxy", self.listener, settings.proxy_host, settings.proxy_port),
            Door("observe", observe, settings.observe_host, settings.observe_port),
        ]
        if (control := self._control()) is not None:
            doors.append(control)
        try:
            await self.servers.start(doors)
        except PortTaken:
            await self.stop()
            raise
        log.info("serving on %s", ", ".join(f"{name} {port}" for name, port in self.servers.ports.items()))

    async def stop(self) -> None:
        """Drain: be unready, accept nothing new, let what is in flight finish in time, end all else."""
        self.health.draining = True
        self.reporter.stop()
        await self.servers.drain()
        await self.traces.drain(min(self.settings.drain_timeout_s, TRACE_DRAIN_S))
        await self.tasks.stop()
        await self.plans.aclose()
        self.audit.close()
        self.logs.writer.attach(None)
        if (file := self.logs.writer.file) is not None:
            await asyncio.to_thread(file.close, LOG_DRAIN_S)

    def _control(self) -> Door | None:
        """Return the operator's door, None when there is no operator."""
        settings, folder = self.settings, self.settings.tls_dir
        if folder is None and not settings.control_token:
            return None

        def refused(peer: str) -> None:
            self.metrics.authentication_failures.add(("control", "stranger"))
            self.audit.tell(
                AuditEvent.AUTHENTICATION_FAILURE,
                AuditOutcome.REFUSED,
                reason="stranger",
                origin=peer,
                subject="port/control",
            )

        authenticator = BearerToken(settings.control_token) if folder is None else OperatorCertificate()
        app = ControlApp(self.snapshots, self.reporter, authenticator, tasks=self.tasks, refused=refused)
        server = AsgiServer(
            "control",
            logged(app),
            self.tasks,
            drain_timeout_s=settings.drain_timeout_s,
            protocol=prompt(app.asked) if folder is None else operator_only(refused, app.asked),
            tls=None if folder is None else MountedContext(folder),
            keep_alive_s=CONTROL_KEEP_ALIVE_S,
        )
        return Door("control", server, settings.control_host, settings.control_port)

    # ---------------------------------------------------------------- joints
    def _boot(self) -> None:
        """Run the newest configuration there is a copy of, and let cool what cooled when it was kept."""
        kept: dict[str, bytes | None] = {}
        if (path := self.settings.snapshot_file) is not None:
            kept[str(path)] = read_document(path)
        if self.last_good is not None:
            kept["the last good configuration"] = self.last_good.read(SNAPSHOT)
        name = self.snapshots.boot((name, body) for name, body in kept.items() if body is not None)
        if name is None:
            return
        log.info("booted from %s", name, extra={"digest": self.snapshots.running.digest})
        if self.last_good is not None and (body := self.last_good.read(STATE)) is not None:
            try:
                push = codec.decode_state_push(body)
            except codec.DecodeError as error:
                log.warning("the kept cooldowns cannot be used: %s", error)
            else:
                self.machines.adopt(still_cooling(push, utc_now()))
                self.machines.attach(False)  # noqa: FBT003 -- as if cut off just now: the operator comes first

    def _activate(self, plan: Plan, before: Plan | None) -> None:
        self.proxy.plan = plan
        self.logs.hide([secret.decode() for secret in plan.secrets])
        self._log(plan.snapshot)
        self.machines.configure(plan.snapshot.providers)
        self.prober.follow()
        self._trace(plan)
        self._tell_change(plan, before)
        if before is not None:
            self.plans.release(before)

    def _log(self, snapshot: Snapshot) -> None:
        """Log as this snapshot's profile wants it."""
        profile, logs, settings = snapshot.profile, self.logs, self.settings
        logs.set_level(settings.log_level or profile.log_level)
        logs.set_format(profile.log_format)
        logs.keep(settings.log_dir / f"{settings.pod_name}.log", profile.log_file)
        log.info("configuration_taken", extra={"digest": snapshot.digest, "profile": profile.name})

    def _tell_change(self, plan: Plan, before: Plan | None) -> None:
        old, new = None if before is None else before.snapshot, plan.snapshot
        self.audit.tell(
            AuditEvent.CONFIGURATION_CHANGE,
            AuditOutcome.DONE,
            who="operator" if self._booted else "kept copy",
            subject=f"ProxyProfile/{self.settings.namespace}/{new.profile.name or '(built-in)'}",
            digest=new.digest,
            digest_before=None if old is None else old.digest,
            providers=len(new.providers),
        )

    def _trace(self, plan: Plan) -> None:
        """Trace new requests as this plan's profile wants it."""
        tracing = plan.snapshot.profile.tracing
        if tracing is None:
            self.proxy.tracer = None
            return
        self.traces.configure(tracing.url, self.tasks)
        chance = self.machines.chance
        self.proxy.tracer = Tracer(plan.snapshot, tracing.sample_rate, self.traces, chance, plan.secrets)

    def _adopt(self, push: StatePush) -> None:
        self.machines.adopt(push)
        self.prober.follow()

    def _adopted(self, body: bytes) -> None:
        if self.last_good is not None:
            self.last_good.keep(STATE, body)

    def _taken(self, body: bytes) -> None:
        if self.last_good is not None:
            self.last_good.keep(SNAPSHOT, body)

    def _attached(self, attached: bool) -> None:  # noqa: FBT001 -- the one thing it says
        log.info("operator_attached" if attached else "operator_gone")
        self.machines.attach(attached)
        self.prober.follow()

    def _standing(self) -> tuple[Report, ...]:
        hello = Hello(
            sidecar=self.settings.pod_name,
            namespace=self.settings.namespace,
            version=__version__,
            running=self.snapshots.running,
            encodings=(codec.PACKED,),
            keeps_parts=True,
            trying=self.machines.trying(),
        )
        return (hello, *self.machines.standing())

    def _traffic(self) -> Traffic:
        snapshot = self._snapshot()
        profile = snapshot.profile if snapshot is not None else None
        return msgspec.structs.replace(self.machines.traffic(), reused=reused(profile, self.shelf))

    def _stranger(self, why: str) -> None:
        self.metrics.authentication_failures.add(("operations", why))

    def _used(self) -> tuple[Report, ...]:
        return self.machines.used()

    def _connections(self) -> dict[str, Any]:
        return connections_view(
            self.machines.providers,
            self.plans.connections(),
            callers_open=len(self.listener.connections),
            active=self.metrics.active,
            waiting=self.machines.waiting,
        )

    def _cache(self) -> dict[str, Any]:
        snapshot = self._snapshot()
        return cache_view(snapshot.profile if snapshot is not None else None, self.shelf)

    def _snapshot(self) -> Snapshot | None:
        plan = self.snapshots.current
        return plan.snapshot if plan is not None else None
