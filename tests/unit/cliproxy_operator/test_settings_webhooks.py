"""The environment of webhooks: off unless asked for, all faults named, the template made of it."""

import pytest

from cliproxy_operator.settings import SettingsError
from cliproxy_operator.settings_webhooks import (
    SWITCH,
    VARIABLES,
    Certificate,
    Native,
    read_webhook_settings,
    webhook_usage,
)

ON = {"CLIPROXY_WEBHOOKS": "1"}


def test_they_are_off_by_default() -> None:
    assert read_webhook_settings({}) is None
    assert read_webhook_settings({"CLIPROXY_WEBHOOKS": "0"}) is None


def test_defaults() -> None:
    settings = read_webhook_settings(ON)

    assert settings is not None
    assert (settings.port, settings.native, settings.certificate) == (9443, Native.AUTO, Certificate.OWN)
    assert settings.image.startswith("cliproxy-sidecar:")
    assert (settings.cpu_limit, settings.memory_limit, settings.run_as_user) == ("", "128Mi", 65532)
    assert settings.survey_interval_s == 30


def test_values_make_the_template() -> None:
    env = ON | {
        "CLIPROXY_SIDECAR_IMAGE": "registry.example/sidecar:1",
        "CLIPROXY_SIDECAR_USER": "cluster",
        "CLIPROXY_SIDECAR_MEMORY_LIMIT": "none",
        "CLIPROXY_SIDECAR_CPU_LIMIT": "2",
    }
    settings = read_webhook_settings(env)
    assert settings is not None

    template = settings.template(native=True, control_port=1234, control_token=False)

    assert (template.image, template.native, template.control_port) == (
        "registry.example/sidecar:1",
        True,
        1234,
    )
    assert (template.run_as_user, template.memory_limit, template.cpu_limit) == (None, "", "2")
    assert template.token_secret == ""
    assert settings.template(native=True, control_port=1234, control_token=True).token_secret
    assert template.digest != settings.template(native=False, control_port=1234, control_token=False).digest


def test_all_faults_are_named_at_once() -> None:
    faults = {
        "CLIPROXY_WEBHOOK_PORT": "0",
        "CLIPROXY_WEBHOOK_NAME": "no name",
        "CLIPROXY_WEBHOOK_CERTIFICATE": "theirs",
        "CLIPROXY_SIDECAR_NATIVE": "maybe",
        "CLIPROXY_SIDECAR_PULL_POLICY": "Often",
        "CLIPROXY_SIDECAR_CPU_REQUEST": "lots",
        "CLIPROXY_SIDECAR_USER": "0",
        "CLIPROXY_INJECTION_SURVEY": "0s",
    }

    with pytest.raises(SettingsError) as caught:
        read_webhook_settings(ON | faults)

    assert sorted(line.partition(":")[0] for line in str(caught.value).splitlines()) == sorted(faults)


def test_help_names_every_variable() -> None:
    for variable in (SWITCH, *VARIABLES):
        assert variable.name in webhook_usage()
