"""What the four dashboards show: the fleet, one provider, consumers and cost, the operator.

Ranges are Grafana's `$__rate_interval`; counters that begin with a first trouble count as 0 before it. The
JSON is `board`'s; that every query answers on real traffic is `trial`'s.
"""

from typing import Final

from cliproxy_dev.monitoring.board import Board, Panel, Variable, panel

BY_PROVIDER: Final = "{{provider_namespace}}/{{provider}}"
CHOSEN: Final = 'provider_namespace=~"$namespace", provider=~"$provider"'
PROBES: Final = 'cliproxy_provider_health{provider=~"$provider"}'
"""Of sidecars and operators, who show the same name with other labels."""
OF: Final = "provider_namespace, provider"


def rate(metric: str, match: str = "", by: str = "") -> str:
    """Return the sum of a counter's rates."""
    chosen = f"{{{match}}}" if match else ""
    head = f"sum by ({by}) " if by else "sum"
    return f"{head}(rate({metric}{chosen}[$__rate_interval]))"


def quantile(share: float, metric: str, match: str = "", by: str = "") -> str:
    """Return a histogram's quantile."""
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', match, f'{by}, le' if by else 'le')})"


def error_ratio(match: str = "") -> str:
    """Return failed of all attempts, where there are any."""
    failures, attempts = (
        rate(f"cliproxy_provider_{what}_total", match, OF) for what in ("failures", "attempts")
    )
    return f"{failures} / ({attempts} > 0)"


def or_nothing(expr: str) -> str:
    """Return 0 for what has not happened yet."""
    return f"{expr} or on () vector(0)"


HITS: Final = or_nothing(rate("cliproxy_cache_hits_total"))
LOOKUPS: Final = f"(({HITS}) + ({or_nothing(rate('cliproxy_cache_misses_total'))}))"
HIT_RATIO: Final = f"({HITS}) / ({LOOKUPS} > 0)"


def provider_panels(match: str) -> tuple[Panel, ...]:
    """Return what two boards show of providers."""
    return (
        panel(
            "Failed attempts",
            "percentunit",
            (error_ratio(match), BY_PROVIDER),
            about="Of all attempts at the provider. kubectl describe llmprovider NAME says why.",
        ),
        panel(
            "p95 of an attempt",
            "s",
            (quantile(0.95, "cliproxy_provider_attempt_duration_seconds", match, OF), BY_PROVIDER),
        ),
        panel(
            "Cooldowns",
            "short",
            (f"max by ({OF}) (cliproxy_provider_cooldowns{{{match}}})", BY_PROVIDER),
            about="Scopes (credential, model) that sit out now.",
        ),
        panel(
            "Phase",
            "short",
            (f"max by ({OF}, phase) (cliproxy_provider_phase{{{match}}}) == 1", BY_PROVIDER + " {{phase}}"),
            kind="stat",
        ),
    )


FLEET: Final = Board(
    "cliproxy-fleet",
    "cliproxy / Fleet",
    "All sidecars together: what callers get, how providers do, whether configuration has arrived.",
    (
        panel("Requests by status", "reqps", (rate("cliproxy_requests_total", "", "status"), "{{status}}")),
        panel(
            "p95 of a request",
            "s",
            (quantile(0.95, "cliproxy_request_duration_seconds", 'provider!="cache"', "model"), "{{model}}"),
        ),
        panel(
            "Under way and waiting",
            "short",
            ("sum(cliproxy_active_requests)", "under way"),
            ("sum(cliproxy_queue_size)", "waiting for a target"),
        ),
        *provider_panels('provider_namespace=~"$namespace"'),
        panel("Tokens by type", "short", (rate("cliproxy_tokens_total", "", "type"), "{{type}}")),
        panel("Cache hits", "percentunit", (HIT_RATIO, "all sidecars")),
        panel(
            "Sidecars",
            "short",
            ("max by (state) (cliproxy_operator_links)", "{{state}}"),
            ("sum(cliproxy_operator_attached)", "hear the operator"),
            kind="stat",
        ),
        panel(
            "Sidecars without the current configuration",
            "short",
            (f"max by ({OF}) (cliproxy_provider_sidecars_unsynced)", BY_PROVIDER),
        ),
        panel(
            "Alerts",
            "short",
            ("sum by (rule, severity, state) (cliproxy_alerts)", "{{rule}} {{state}}"),
            kind="stat",
        ),
    ),
    (Variable("namespace", "label_values(cliproxy_provider_attempts_total, provider_namespace)"),),
)

PROVIDER: Final = Board(
    "cliproxy-provider",
    "cliproxy / Provider",
    "One provider as its sidecars see it.",
    (
        panel("Attempts", "reqps", (rate("cliproxy_provider_attempts_total", CHOSEN, OF), BY_PROVIDER)),
        panel(
            "Failures by reason",
            "reqps",
            (rate("cliproxy_provider_failures_total", CHOSEN, "reason"), "{{reason}}"),
        ),
        panel(
            "Failures by class",
            "reqps",
            (rate("cliproxy_errors_total", 'provider=~"$provider"', "error_type"), "{{error_type}}"),
        ),
        *provider_panels(CHOSEN),
        panel(
            "Attempt duration",
            "s",
            *(
                (quantile(share, "cliproxy_provider_attempt_duration_seconds", CHOSEN), f"p{share * 100:g}")
                for share in (0.5, 0.95, 0.99)
            ),
        ),
        panel(
            "First token, p95",
            "s",
            (quantile(0.95, "cliproxy_first_token_seconds", 'provider=~"$provider"', "model"), "{{model}}"),
        ),
        panel(
            "Tokens per minute",
            "short",
            (rate("cliproxy_provider_tokens_total", CHOSEN, OF) + " * 60", BY_PROVIDER),
        ),
        panel(
            "Quota left",
            "percentunit",
            (f"max by ({OF}) (cliproxy_provider_quota_remaining_ratio{{{CHOSEN}}})", BY_PROVIDER),
        ),
        panel(
            "Probes pass",
            "short",
            (
                f"min by (provider) ({PROBES} unless on (instance) cliproxy_operator_leader)",
                "{{provider}}",
            ),
            kind="stat",
        ),
        panel(
            "Answer size, p95",
            "bytes",
            (quantile(0.95, "cliproxy_response_size_bytes", 'provider=~"$provider"'), "all models"),
        ),
    ),
    (
        Variable("namespace", "label_values(cliproxy_provider_attempts_total, provider_namespace)"),
        Variable("provider", "label_values(cliproxy_provider_attempts_total, provider)"),
    ),
)

CONSUMERS: Final = Board(
    "cliproxy-consumers",
    "cliproxy / Consumers and cost",
    "Who spends what, what the cache saves, who is refused.",
    (
        panel(
            "Last 24 hours",
            "currencyUSD",
            "sum(increase(cliproxy_provider_cost_usd_total[24h]))",
            kind="stat",
        ),
        panel(
            "Per hour, by provider",
            "currencyUSD",
            (rate("cliproxy_provider_cost_usd_total", "", OF) + " * 3600", BY_PROVIDER),
        ),
        panel(
            "Per hour, by model",
            "currencyUSD",
            (rate("cliproxy_cost_usd_total", "", "model") + " * 3600", "{{model}}"),
        ),
        panel(
            "Per hour, by consumer",
            "currencyUSD",
            (
                rate("cliproxy_cost_usd_total", 'consumer=~"$consumer"', "consumer") + " * 3600",
                "{{consumer}}",
            ),
        ),
        panel(
            "Fullest budget",
            "short",
            (f"max by ({OF}) (cliproxy_provider_budget_used_ratio)", BY_PROVIDER),
            about="Of the consumers who may use the provider; above 1: over it.",
        ),
        panel("Tokens by model", "short", (rate("cliproxy_tokens_total", "", "model"), "{{model}}")),
        panel(
            "Cache",
            "reqps",
            (or_nothing(rate("cliproxy_cache_hits_total", "", "level")), "hits {{level}}"),
            (or_nothing(rate("cliproxy_cache_misses_total", "", "level")), "misses {{level}}"),
        ),
        panel(
            "Refused by a limit",
            "reqps",
            (
                or_nothing(
                    rate("cliproxy_consumer_refusals_total", 'consumer=~"$consumer"', "consumer, limit")
                ),
                "{{consumer}} {{limit}}",
            ),
        ),
        panel(
            "Over budget",
            "reqps",
            (
                or_nothing(rate("cliproxy_over_budget_requests_total", "", "consumer, action")),
                "{{consumer}} {{action}}",
            ),
        ),
        panel(
            "Callers without a right key",
            "reqps",
            (or_nothing(rate("cliproxy_authentication_failures_total", "", "reason")), "{{reason}}"),
        ),
    ),
    (Variable("consumer", "label_values(cliproxy_cost_usd_total, consumer)"),),
)

OPERATOR: Final = Board(
    "cliproxy-operator",
    "cliproxy / Operator",
    "Whether the operator leads, keeps up, and is let to write.",
    (
        panel("Leaders", "short", "sum(cliproxy_operator_leader)", kind="stat", about="Exactly 1."),
        panel(
            "Links",
            "short",
            ("max by (state) (cliproxy_operator_links)", "{{state}}"),
            (or_nothing(rate("cliproxy_operator_link_failures_total", "", "reason")), "broken: {{reason}}"),
        ),
        panel(
            "p95 of its work",
            "s",
            (quantile(0.95, "cliproxy_operator_reconcile_seconds"), "reconcile"),
            (quantile(0.95, "cliproxy_operator_convergence_seconds"), "convergence"),
            (quantile(0.95, "cliproxy_operator_push_seconds"), "push"),
            (quantile(0.95, "cliproxy_operator_status_write_seconds"), "status write"),
            about="Convergence: from a change seen here to all linked sidecars running it.",
        ),
        panel(
            "Documents pushed",
            "ops",
            (rate("cliproxy_operator_pushes_total", "", "document, result"), "{{document}} {{result}}"),
        ),
        panel("Reports heard", "ops", (rate("cliproxy_operator_reports_total", "", "kind"), "{{kind}}")),
        panel(
            "API server",
            "ops",
            (rate("cliproxy_operator_api_writes_total", "", "kind"), "write {{kind}}"),
            (or_nothing(rate("cliproxy_operator_api_errors_total", "", "reason")), "failed {{reason}}"),
            (rate("cliproxy_operator_watch_events_total"), "watch events"),
        ),
        panel(
            "Defects",
            "ops",
            (or_nothing(rate("cliproxy_operator_loop_failures_total", "", "loop")), "{{loop}}"),
            about="Our own mistakes; the log has the traceback.",
        ),
        panel(
            "Notifications",
            "ops",
            (
                or_nothing(rate("cliproxy_notifications_total", "", "receiver, result")),
                "{{receiver}} {{result}}",
            ),
            (or_nothing("sum(cliproxy_notifications_waiting)"), "waiting"),
        ),
        panel(
            "Admission",
            "ops",
            (
                or_nothing(rate("cliproxy_operator_admissions_total", "", "webhook, result")),
                "{{webhook}} {{result}}",
            ),
            (or_nothing("max by (state) (cliproxy_operator_injection_pods)"), "pods {{state}}"),
        ),
        panel(
            "Memory",
            "bytes",
            ('process_resident_memory_bytes{job=~".*cliproxy.*"}', "{{instance}}"),
        ),
        panel(
            "CPU",
            "short",
            ('rate(process_cpu_seconds_total{job=~".*cliproxy.*"}[$__rate_interval])', "{{instance}}"),
        ),
    ),
)

BOARDS: Final = {"fleet": FLEET, "provider": PROVIDER, "consumers": CONSUMERS, "operator": OPERATOR}
"""By the names of their files."""
