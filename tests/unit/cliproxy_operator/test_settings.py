"""The environment becomes settings, or every fault in it is named."""

from pathlib import Path

import pytest

from cliproxy_api.vocabulary import LogLevel
from cliproxy_operator.settings import VARIABLES, SettingsError, read_settings, usage

TOKEN = {"CLIPROXY_CONTROL_TOKEN": "sixteen-characters"}


def test_defaults() -> None:
    settings = read_settings(TOKEN)

    assert settings.namespaces == ()
    assert (settings.host, settings.port, settings.control_port) == ("0.0.0.0", 8080, 8318)  # noqa: S104
    assert (settings.lease_duration_s, settings.lease_renew_s, settings.lease_retry_s) == (5, 3.5, 0.5)
    assert settings.resync_interval_s == 300
    assert settings.log_level is LogLevel.INFO
    assert settings.pod_name


def test_values_are_read() -> None:
    settings = read_settings(
        TOKEN
        | {"CLIPROXY_NAMESPACES": "b, a,,a", "CLIPROXY_LOG_LEVEL": "DEBUG", "CLIPROXY_ALLOW_LINK_LOCAL": "1"}
    )

    assert settings.namespaces == ("a", "b")
    assert settings.log_level is LogLevel.DEBUG
    assert settings.allow_link_local
    assert not settings.allow_api_server


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(
            {
                "CLIPROXY_PORT": "70000",
                "CLIPROXY_RESYNC_INTERVAL": "soon",
                "CLIPROXY_LEASE_RETRY": "0s",
                "CLIPROXY_LOG_LEVEL": "loud",
                "CLIPROXY_ALLOW_API_SERVER": "yes",
                "CLIPROXY_CONTROL_TOKEN": "short",
            }
        )

    named = [line.partition(":")[0] for line in str(caught.value).splitlines()]
    assert sorted(named) == [
        "CLIPROXY_ALLOW_API_SERVER",
        "CLIPROXY_CONTROL_TOKEN",
        "CLIPROXY_LEASE_RETRY",
        "CLIPROXY_LOG_LEVEL",
        "CLIPROXY_PORT",
        "CLIPROXY_RESYNC_INTERVAL",
    ]
    assert "short" not in str(caught.value).replace("CLIPROXY", "")


def test_a_lease_that_cannot_work_is_refused() -> None:
    with pytest.raises(SettingsError, match="must hold"):
        read_settings(TOKEN | {"CLIPROXY_LEASE_RENEW": "10s"})


def test_the_token_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a-token-in-a-file\n")

    assert (
        read_settings({"CLIPROXY_CONTROL_TOKEN_FILE": str(file)}).control_token.reveal()
        == "a-token-in-a-file"
    )
    with pytest.raises(SettingsError, match="No such file"):
        read_settings({"CLIPROXY_CONTROL_TOKEN_FILE": str(tmp_path / "none")})


def test_the_token_does_not_show_itself() -> None:
    assert "sixteen" not in repr(read_settings(TOKEN))


def test_usage_names_every_variable() -> None:
    text = usage()

    assert all(variable.name in text for variable in VARIABLES)
    assert "CLIPROXY_CONTROL_TOKEN" in text


def test_without_anything_the_operator_is_its_own_authority() -> None:
    settings = read_settings({})
    assert settings.control_token is None
    assert settings.tls_dir is None
    assert (settings.certificate_lifetime_s, settings.ca_lifetime_s) == (7 * 86400, 365 * 86400)


def test_certificates_of_another_authority_are_mounted() -> None:
    assert read_settings({"CLIPROXY_TLS_DIR": "/tls"}).tls_dir == Path("/tls")
    with pytest.raises(SettingsError, match="exclude each other"):
        read_settings(TOKEN | {"CLIPROXY_TLS_DIR": "/tls"})


def test_an_authority_outlives_what_it_signs() -> None:
    with pytest.raises(SettingsError, match="at least four times"):
        read_settings({"CLIPROXY_CERTIFICATE_LIFETIME": "24h", "CLIPROXY_CA_LIFETIME": "72h"})
    with pytest.raises(SettingsError, match="CLIPROXY_CERTIFICATE_LIFETIME: must be at least 30s"):
        read_settings({"CLIPROXY_CERTIFICATE_LIFETIME": "5s"})
