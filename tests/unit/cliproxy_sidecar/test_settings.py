"""Environment to settings: defaults, and a sentence for what is wrong."""

from pathlib import Path

import pytest

from cliproxy_api.vocabulary import LogLevel
from cliproxy_sidecar.settings import VARIABLES, SettingsError, help_text, read_settings

TOKEN = {"CLIPROXY_CONTROL_TOKEN": "0123456789abcdef"}


def test_defaults() -> None:
    settings = read_settings(TOKEN)
    assert (settings.proxy_host, settings.proxy_port) == ("127.0.0.1", 8317)
    everywhere = "0.0.0.0"  # noqa: S104 -- the default that is tested
    assert (settings.control_host, settings.control_port) == (everywhere, 8318)
    assert (settings.observe_host, settings.observe_port) == (everywhere, 9090)
    assert (settings.drain_timeout_s, settings.log_level, settings.snapshot_file) == (10.0, None, None)
    assert settings.upstream == "engine"


def test_the_pods_address_is_the_default_host_of_what_is_reached_from_outside() -> None:
    settings = read_settings({**TOKEN, "POD_IP": "10.0.0.7", "CLIPROXY_OBSERVE_HOST": "127.0.0.1"})
    assert (settings.proxy_host, settings.control_host) == ("127.0.0.1", "10.0.0.7")
    assert settings.observe_host == "127.0.0.1"


def test_values_are_read() -> None:
    settings = read_settings(
        {
            **TOKEN,
            "POD_NAME": "a-1",
            "POD_NAMESPACE": "a",
            "CLIPROXY_LOG_LEVEL": "DEBUG",
            "CLIPROXY_DRAIN_TIMEOUT": "1m30s",
            "CLIPROXY_SNAPSHOT_FILE": "/boot.json",
            "CLIPROXY_UPSTREAM": "aiohttp",
        }
    )
    assert (settings.pod_name, settings.namespace) == ("a-1", "a")
    assert (settings.log_level, settings.drain_timeout_s) == (LogLevel.DEBUG, 90.0)
    assert (settings.snapshot_file, settings.upstream) == (Path("/boot.json"), "aiohttp")


def test_the_token_may_stand_in_a_file_and_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a-secret-of-some-length\n")
    settings = read_settings({"CLIPROXY_CONTROL_TOKEN_FILE": str(file)})
    assert settings.control_token == "a-secret-of-some-length"
    assert "a-secret" not in repr(settings)


def test_alone_no_token_is_needed_but_a_short_one_is_still_wrong() -> None:
    assert read_settings({"CLIPROXY_STANDALONE": "1"}).control_token == ""
    with pytest.raises(SettingsError, match="16 characters"):
        read_settings({"CLIPROXY_STANDALONE": "1", "CLIPROXY_CONTROL_TOKEN": "short"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLIPROXY_PROXY_PORT", "65536"),
        ("CLIPROXY_CONTROL_PORT", "-1"),
        ("CLIPROXY_OBSERVE_PORT", "٣"),
        ("CLIPROXY_LOG_LEVEL", "loud"),
        ("CLIPROXY_DRAIN_TIMEOUT", "10"),
        ("CLIPROXY_UPSTREAM", "httpx"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({**TOKEN, name: value})


def test_help_names_every_variable() -> None:
    text = help_text()
    assert all(variable.name in text and variable.meaning in text for variable in VARIABLES)


def test_mutual_tls_takes_the_place_of_the_token() -> None:
    settings = read_settings({"CLIPROXY_TLS_DIR": "/etc/cliproxy/tls"})
    assert (settings.control_token, settings.tls_dir) == ("", Path("/etc/cliproxy/tls"))
    with pytest.raises(SettingsError, match="exclude each other"):
        read_settings({"CLIPROXY_TLS_DIR": "/tls", "CLIPROXY_CONTROL_TOKEN": "sixteen-characters"})
    with pytest.raises(SettingsError, match="CLIPROXY_TLS_DIR"):
        read_settings({})
