"""The operator's own figures, in a registry of their own; labels are bounded by kinds, verbs and providers.

Who counts what is left to the callers; `api.py` serves the text.
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

_FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """All metrics of one operator process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._configuration(self.registry)
        self._links(self.registry)
        self._api_server(self.registry)
        self._fleet(self.registry)
        self._alerting(self.registry)
        self._leadership(self.registry)
        self._admission(self.registry)
        self._trust(self.registry)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _configuration(self, registry: CollectorRegistry) -> None:
        """How objects become documents, and how long that takes."""
        self.reconcile_s = Histogram(
            "cliproxy_operator_reconcile_seconds",
            "One namespace compiled and published.",
            buckets=_FAST_S,
            registry=registry,
        )
        self.convergence_s = Histogram(
            "cliproxy_operator_convergence_seconds",
            "From an object's change seen here to all linked sidecars running it.",
            buckets=_FAST_S,
            registry=registry,
        )
        self.push_s = Histogram(
            "cliproxy_operator_push_seconds",
            "One document put to one sidecar.",
            ["document"],
            buckets=_FAST_S,
            registry=registry,
        )
        self.pushes = Counter(
            "cliproxy_operator_pushes_total",
            "Documents put to sidecars by the answer's meaning.",
            ["document", "result"],
            registry=registry,
        )
        self.loop_failures = Counter(
            "cliproxy_operator_loop_failures_total",
            "Background work that failed by a defect.",
            ["loop"],
            registry=registry,
        )

    def _links(self, registry: CollectorRegistry) -> None:
        """The links to sidecars and what is heard on them."""
        self.links = Gauge(
            "cliproxy_operator_links", "Links to sidecars by state.", ["state"], registry=registry
        )
        self.link_failures = Counter(
            "cliproxy_operator_link_failures_total",
            "Links that broke, by reason.",
            ["reason"],
            registry=registry,
        )
        self.reports = Counter(
            "cliproxy_operator_reports_total", "Lines heard from sidecars.", ["kind"], registry=registry
        )

    def _api_server(self, registry: CollectorRegistry) -> None:
        """What is read from the API server and written to it."""
        self.api_writes = Counter(
            "cliproxy_operator_api_writes_total",
            "Writes to the API server that it accepted.",
            ["kind", "verb"],
            registry=registry,
        )
        self.status_write_s = Histogram(
            "cliproxy_operator_status_write_seconds",
            "One status applied, refusals included.",
            ["kind"],
            buckets=_FAST_S,
            registry=registry,
        )
        self.api_errors = Counter(
            "cliproxy_operator_api_errors_total",
            "Calls to the API server that failed.",
            ["verb", "reason"],
            registry=registry,
        )
        self.watch_events = Counter(
            "cliproxy_operator_watch_events_total", "Watch events heard.", ["kind", "type"], registry=registry
        )
        self.resyncs = Counter(
            "cliproxy_operator_resyncs_total",
            "Whole lists taken, by kind and result.",
            ["kind", "result"],
            registry=registry,
        )
        self.ghosts = Counter(
            "cliproxy_operator_ghosts_total",
            "Objects whose deletion the watch had lost.",
            ["kind"],
            registry=registry,
        )

    def _fleet(self, registry: CollectorRegistry) -> None:
        """What is known of providers, over all sidecars."""
        self.cooldowns = Gauge(
            "cliproxy_cooldown_active",
            "Cooldowns in force over the fleet.",
            ["namespace", "provider"],
            registry=registry,
        )
        self.provider_health = Gauge(
            "cliproxy_provider_health",
            "1 healthy, 0.5 degraded or unknown, 0 otherwise.",
            ["namespace", "provider"],
            registry=registry,
        )

        of = ["provider_namespace", "provider"]
        self.provider_phase = Gauge(
            "cliproxy_provider_phase",
            "1 for the phase that a provider is in, 0 for the others; nothing of one that is disabled.",
            [*of, "phase"],
            registry=registry,
        )
        figures = {
            "cooldown_count": ("cooldowns", "Scopes (credential, model) of a provider that sit out now."),
            "quota_remaining_ratio": ("quota_remaining_ratio", "What is left of a provider's quota, 0 to 1."),
            "budget_used_ratio": (
                "budget_used_ratio",
                "Used of the fullest budget of any consumer who may use a provider; above 1: over it.",
            ),
            "cache_hit_ratio": (
                "cache_hit_ratio",
                "Kept answers among the last minute's lookups at a provider's sidecars, 0 to 1.",
            ),
            "sidecars_unsynced": (
                "sidecars_unsynced",
                "Sidecars that do not run a provider's current configuration.",
            ),
        }
        self.provider_figures = {
            metric: Gauge(f"cliproxy_provider_{name}", text, of, registry=registry)
            for metric, (name, text) in figures.items()
        }
        """By the word that conditions use; what nobody knows has no series."""

    def _alerting(self, registry: CollectorRegistry) -> None:
        """Alerts and who was told of them."""
        self.alerts = Gauge(
            "cliproxy_alerts",
            "Providers that a rule is pending or firing for.",
            ["namespace", "rule", "severity", "state"],
            registry=registry,
        )
        self.notifications = Counter(
            "cliproxy_notifications_total",
            "Tries to tell a channel; retried: it failed and is tried again, failed: not before a change.",
            ["namespace", "rule", "channel", "receiver", "result"],
            registry=registry,
        )
        self.notification_s = Histogram(
            "cliproxy_notification_seconds",
            "One try to tell a channel.",
            ["receiver"],
            buckets=_FAST_S,
            registry=registry,
        )
        self.notifications_waiting = Gauge(
            "cliproxy_notifications_waiting",
            "Alerts that a channel has yet to hear of.",
            ["namespace", "rule", "channel", "receiver"],
            registry=registry,
        )

    def _leadership(self, registry: CollectorRegistry) -> None:
        """Who leads."""
        self.leader = Gauge("cliproxy_operator_leader", "1 while this replica leads.", registry=registry)
        self.epoch = Gauge(
            "cliproxy_operator_epoch", "The epoch this replica pushes under.", registry=registry
        )

    def _admission(self, registry: CollectorRegistry) -> None:
        """Answers to the API server, and pods without their sidecars."""
        self.admissions = Counter(
            "cliproxy_operator_admissions_total",
            "Questions of the API server by what became of them.",
            ["webhook", "result"],
            registry=registry,
        )
        self.admission_s = Histogram(
            "cliproxy_operator_admission_seconds",
            "One question of the API server answered.",
            ["webhook"],
            buckets=_FAST_S,
            registry=registry,
        )
        self.injection = Gauge(
            "cliproxy_operator_injection_pods",
            "Pods that ask for a sidecar: current, stale (an older one) or missing.",
            ["state"],
            registry=registry,
        )
        self.surveys = Counter(
            "cliproxy_operator_surveys_total",
            "Looks for pods that lack their sidecar, by result.",
            ["result"],
            registry=registry,
        )

    def _trust(self, registry: CollectorRegistry) -> None:
        """Certificates and refused callers."""
        self.webhook_certificate_ends = Gauge(
            "cliproxy_operator_webhook_certificate_expiry_timestamp_seconds",
            "When the webhooks' certificate ends; 0: there is none.",
            registry=registry,
        )
        self.authentication_failures = Counter(
            "cliproxy_authentication_failures_total",
            "Refused calls of the operations API.",
            ["reason"],
            registry=registry,
        )
        self.certificates_issued = Counter(
            "cliproxy_operator_certificates_issued_total",
            "Certificates of the control channel made, by whose they are.",
            ["for"],
            registry=registry,
        )
