"""What the machines show at a scrape: health, cooldowns, and whether the operator listens.

Read when somebody scrapes; the values are the machines'.
"""

from cliproxy_sidecar.runtime.machines import Machines
from cliproxy_sidecar.runtime.metrics import Gauge, Labels, Metrics
from cliproxy_sidecar.runtime.reporter import Reporter


def show_machines(metrics: Metrics, machines: Machines, reporter: Reporter) -> None:
    """Add the gauges of these machines."""

    def health() -> dict[Labels, float]:
        return {
            (provider.name,): float(machines.health.healthy(provider.id)) for provider in machines.providers
        }

    def cooling() -> dict[Labels, float]:
        counts: dict[str, int] = {provider.id: 0 for provider in machines.providers}
        for cooldown in machines.active():
            counts[cooldown.scope.provider] = counts.get(cooldown.scope.provider, 0) + 1
        return {(provider.name,): counts[provider.id] for provider in machines.providers}

    metrics.gauge(
        Gauge("cliproxy_provider_health", "1 while a provider's probes pass.", "provider", read=health)
    )
    metrics.gauge(
        Gauge("cliproxy_cooldown_active", "Scopes of a provider out of use.", "provider", read=cooling)
    )
    metrics.gauge(
        Gauge("cliproxy_queue_size", "Requests that wait for a target.", read=lambda: {(): machines.waiting})
    )
    metrics.gauge(
        Gauge(
            "cliproxy_operator_attached",
            "1 while the operator reads this sidecar's reports.",
            read=lambda: {(): float(reporter.attached)},
        )
    )
