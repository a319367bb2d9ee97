"""A profile as its sidecars run it: where traces go."""

import pytest

from cliproxy_api.conditions import Reason
from cliproxy_api.telling import Tracing
from cliproxy_operator.compile_profile import build_profile
from cliproxy_operator.inputs import AddressRules
from cliproxy_operator.validate import validate
from support.objects import profile


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://gate/otlp", "https://gate/otlp/v1/traces"),
        ("https://gate/otlp/v1/traces", "https://gate/otlp/v1/traces"),
    ],
)
def test_otlps_path_is_added_where_it_is_missing(endpoint: str, url: str) -> None:
    built, diagnostics = build_profile(profile(tracing={"endpoint": endpoint, "sampleRate": 0.25}), {})
    assert built.tracing == Tracing(url=url, sample_rate=0.25)
    assert diagnostics == ()


def test_without_tracing_there_is_none() -> None:
    assert build_profile(profile(), {})[0].tracing is None


def test_traces_go_to_no_address_that_providers_may_not_have() -> None:
    entry = profile(tracing={"endpoint": "http://169.254.169.254"})
    (found,) = validate(entry, AddressRules())
    assert (found.reason, found.path) == (Reason.ADDRESS_REFUSED, "spec.tracing.endpoint")
