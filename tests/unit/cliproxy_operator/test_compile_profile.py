"""A profile as its sidecars run it: where traces go, what is logged."""

import pytest

from cliproxy_api.conditions import Reason
from cliproxy_api.telling import LogFile, Tracing
from cliproxy_api.vocabulary import LogFormat, LogLevel
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


def test_the_log_is_as_the_profile_wants_it() -> None:
    plain, _ = build_profile(profile(), {})
    assert (plain.log_format, plain.log_file) == (LogFormat.JSON, None)
    file = {"enabled": True, "maxBytes": 2_000_000, "maxAge": "24h", "maxBackups": 0}
    built, _ = build_profile(profile(logging={"format": "text", "level": "debug", "file": file}), {})
    assert (built.log_format, built.log_level) == (LogFormat.TEXT, LogLevel.DEBUG)
    assert built.log_file == LogFile(max_bytes=2_000_000, max_age_s=86_400.0, backups=0)
    assert build_profile(profile(logging={"file": {"enabled": False}}), {})[0].log_file is None


def test_what_a_sidecar_takes_for_granted_is_what_the_resource_says() -> None:
    built, _ = build_profile(profile(logging={"file": {"enabled": True}}), {})
    assert built.log_file == LogFile()
    traced, _ = build_profile(profile(tracing={"endpoint": "http://c"}), {})
    assert traced.tracing == Tracing(url="http://c/v1/traces")
