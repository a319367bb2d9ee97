"""What the machines and the log show at a scrape: health, cooldowns, whether the operator listens.

Read when somebody scrapes; the values are their owners'.
"""

from cliproxy_sidecar.runtime.finished import Labels
from cliproxy_sidecar.runtime.logs import LineWriter
from cliproxy_sidecar.runtime.machines import Machines
from cliproxy_sidecar.runtime.metrics import Counter, Gauge, Metrics
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


def show_log_file(metrics: Metrics, writer: LineWriter) -> None:
    """Add the figures of the log's copy in a file; nothing where there is none."""

    def lines() -> dict[Labels, int]:
        file = writer.file
        if file is None:
            return {}
        return {("written",): file.written, ("dropped",): file.dropped}

    def up() -> dict[Labels, float]:
        file = writer.file
        return {(): float(file.trouble is None)} if file is not None and file.is_on else {}

    metrics.count(
        Counter("cliproxy_log_file_lines", "Lines for the log's file, by their end.", "result", read=lines)
    )
    metrics.gauge(Gauge("cliproxy_log_file_up", "1 while the log's file can be written.", read=up))
