"""LLMProvider: what must hold across its fields."""

import re
from typing import Final

from cliproxy_api.resources.llmprovider_parts import AllowedNamespaces, Quota
from cliproxy_api.resources.rule import Rule, all_keys, limit_rule, selector_rules
from cliproxy_api.vocabulary import HealthCheckMode, NamespacesFrom, ProviderType, QuotaUnit

_WITHOUT_PUBLIC_ADDRESS: Final = (ProviderType.AZURE_OPENAI, ProviderType.OPENAI_COMPATIBLE)
_KEY_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"}
)
_PROTOCOL_HEADERS: Final = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "keep-alive",
        "expect",
    }
)


def _whole_unless_usd(quota: Quota) -> bool:
    return quota.unit is QuotaUnit.USD or isinstance(quota.limit, int) or "." not in quota.limit


def _above_zero(quota: Quota) -> bool:
    return isinstance(quota.limit, int) or re.search(r"[1-9]", quota.limit) is not None


def _selector_fits(allowed: AllowedNamespaces) -> bool:
    return (allowed.from_ is NamespacesFrom.SELECTOR) == (allowed.selector is not None)


def _none_of(forbidden: frozenset[str], headers: dict[str, str]) -> bool:
    return all(name.lower() not in forbidden for name in headers)


RULES: Final = (
    Rule(
        "spec",
        "baseURL is required for types azure_openai and openai_compatible, which have no public address",
        lambda spec: spec.base_url is not None or spec.type not in _WITHOUT_PUBLIC_ADDRESS,
        field="baseURL",
    ),
    Rule(
        "spec",
        "azure must be set for type azure_openai, and only for it",
        lambda spec: (spec.type is ProviderType.AZURE_OPENAI) == (spec.azure is not None),
        field="azure",
    ),
    Rule(
        "spec",
        "credentials needs at least one key; only type openai_compatible may do without",
        lambda spec: bool(spec.credentials) or spec.type is ProviderType.OPENAI_COMPATIBLE,
        field="credentials",
    ),
    Rule(
        "spec.credentials",
        "at least one key needs a weight above 0",
        lambda credentials: not credentials or any(one.weight > 0 for one in credentials),
    ),
    Rule(
        "spec.headers",
        "header names are 1 to 64 letters, digits, '-', '_' and '.'",
        all_keys(r"[A-Za-z0-9._-]{1,64}"),
    ),
    Rule(
        "spec.headers",
        "keys must not stand here (Authorization, X-Api-Key and their like): put them into a Secret and "
        "name it in credentials",
        lambda headers: _none_of(_KEY_HEADERS, headers),
    ),
    Rule(
        "spec.headers",
        "Host, Content-Type, Content-Length, Connection and other headers of the protocol are set by the "
        "proxy; leave them out",
        lambda headers: _none_of(_PROTOCOL_HEADERS, headers),
    ),
    limit_rule("spec.rateLimit"),
    Rule(
        "spec.quota",
        "limit must be a whole number for units tokens and requests",
        _whole_unless_usd,
        field="limit",
    ),
    Rule("spec.quota", "limit must be above 0", _above_zero, field="limit"),
    Rule(
        "spec.healthCheck",
        "path has no meaning with mode tcp; leave one of them out",
        lambda check: check.mode is not HealthCheckMode.TCP or check.path is None,
        field="path",
    ),
    Rule(
        "spec.allowedNamespaces",
        "selector must be set with from: Selector, and only with it",
        _selector_fits,
        field="selector",
    ),
    *selector_rules("spec.allowedNamespaces.selector"),
)
