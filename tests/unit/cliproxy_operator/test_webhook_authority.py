"""The webhooks' certificate over the years: always there and trusted, and written only when due."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from cryptography import x509

from cliproxy_api.channel import CERTIFICATE_FILE
from cliproxy_operator.admission.authority import Authority
from cliproxy_operator.clock import Clock
from cliproxy_operator.kube import ApiError, Kube
from cliproxy_operator.settings_webhooks import read_webhook_settings
from support.secretkube import SecretKube

BEGIN = datetime(2026, 11, 21, 12, tzinfo=UTC)
NAME = "cliproxy-operator.cliproxy-system.svc"
KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


class At:
    """A clock that stands."""

    def __init__(self) -> None:
        self.now_utc = BEGIN

    def utc(self) -> datetime:
        return self.now_utc


@pytest.fixture
def kube() -> SecretKube:
    made = SecretKube()
    made.configuration(KINDS[0], "cliproxy-operator", "pods", "namespaces")
    made.configuration(KINDS[1], "cliproxy-operator", "objects")
    return made


@pytest.fixture
def clock() -> At:
    return At()


@pytest.fixture
def authority(kube: SecretKube, clock: At) -> Authority:
    settings = read_webhook_settings({"CLIPROXY_WEBHOOKS": "1"})
    assert settings is not None
    return Authority(
        kube=cast("Kube", kube),
        settings=settings,
        namespace="cliproxy-system",
        clock=cast("Clock", clock),
        may_write=lambda: True,
    )


def served(kube: SecretKube) -> x509.Certificate:
    data = kube.objects["Secret", "cliproxy-webhook-tls"]["data"]
    return x509.load_pem_x509_certificate(base64.b64decode(data[CERTIFICATE_FILE]))


def trusted(kube: SecretKube) -> list[x509.Certificate]:
    """What the API server trusts, the same in every webhook."""
    bundles = {
        webhook["clientConfig"].get("caBundle") for kind in KINDS for webhook in configuration(kube, kind)
    }
    (bundle,) = bundles
    return x509.load_pem_x509_certificates(base64.b64decode(bundle))


def configuration(kube: SecretKube, kind: str) -> list[dict[str, Any]]:
    webhooks: list[dict[str, Any]] = kube.objects[kind, "cliproxy-operator"]["webhooks"]
    return webhooks


def is_trusted(leaf: x509.Certificate, authorities: list[x509.Certificate], now: datetime) -> bool:
    for one in authorities:
        if one.not_valid_before_utc <= now < one.not_valid_after_utc:
            try:
                leaf.verify_directly_issued_by(one)
            except Exception:  # noqa: BLE001, S112 -- whatever is wrong, it is another's
                continue
            return True
    return False


async def test_the_first_look_makes_everything(kube: SecretKube, authority: Authority) -> None:
    await authority._look()

    leaf = served(kube)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [NAME]
    assert is_trusted(leaf, trusted(kube), BEGIN)
    assert kube.objects["Secret", "cliproxy-webhook-tls"]["type"] == "kubernetes.io/tls"
    assert kube.writes.index((KINDS[0], "cliproxy-operator")) < kube.writes.index(
        ("Secret", "cliproxy-webhook-tls")
    )


async def test_nothing_is_written_while_nothing_is_due(
    kube: SecretKube, authority: Authority, clock: At
) -> None:
    await authority._look()
    kube.writes.clear()

    for _ in range(59):
        clock.now_utc += timedelta(days=1)
        await authority._look()

    assert kube.writes == []


async def test_through_twelve_years_the_certificate_is_always_valid_and_trusted(
    kube: SecretKube, authority: Authority, clock: At
) -> None:
    leaves, authorities = set(), set()
    for _ in range(12 * 365 // 3):
        await authority._look()
        leaf = served(kube)
        assert leaf.not_valid_after_utc - clock.now_utc > timedelta(days=26)
        assert is_trusted(leaf, trusted(kube), clock.now_utc)
        leaves.add(leaf.serial_number)
        authorities |= {one.serial_number for one in trusted(kube)}
        clock.now_utc += timedelta(days=3)

    assert 70 <= len(leaves) <= 80
    assert len(authorities) == 2


async def test_what_somebody_undid_is_put_right(kube: SecretKube, authority: Authority) -> None:
    await authority._look()
    configuration(kube, KINDS[0])[1]["clientConfig"]["caBundle"] = base64.b64encode(b"other").decode()
    kube.objects["Secret", "cliproxy-webhook-tls"]["data"][CERTIFICATE_FILE] = "bm8="

    await authority._look()

    assert is_trusted(served(kube), trusted(kube), BEGIN)


async def test_an_absent_configuration_and_an_absent_server_are_no_defects(
    kube: SecretKube, authority: Authority
) -> None:
    del kube.objects[KINDS[0], "cliproxy-operator"]
    await authority._look()
    assert served(kube)

    kube.away = True
    with pytest.raises(ApiError):
        await authority._look()
