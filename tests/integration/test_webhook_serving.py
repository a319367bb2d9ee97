"""The webhook port over real TLS: served when there is a certificate, a new one taken while running."""

import asyncio
import base64
import io
import json
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import aiohttp
import pytest

from cliproxy_dev.ports import free_ports
from cliproxy_operator import x509
from cliproxy_operator.admission import serving as module
from cliproxy_operator.admission.app import make_admission_app
from cliproxy_operator.admission.desk import Desk
from cliproxy_operator.admission.pods import admit_pod
from cliproxy_operator.admission.review import Answer, Request
from cliproxy_operator.admission.serving import Serving
from cliproxy_operator.inject.template import Template
from cliproxy_operator.kube import Kube
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.settings_webhooks import read_webhook_settings
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.x509 import Pair
from support.cluster import eventually
from support.secretkube import SecretKube

ASKED = {
    "apiVersion": "admission.k8s.io/v1",
    "request": {
        "uid": "u-1",
        "kind": {"kind": "Pod"},
        "operation": "CREATE",
        "namespace": "shop",
        "object": {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "app"}]}},
    },
}


class FakeDesk:
    """Answers about pods only, without a cluster."""

    async def pod(self, request: Request) -> tuple[Answer, str]:
        if request.namespace == "broken":
            raise RuntimeError("a defect")
        return admit_pod(request, Template(image="sidecar"), own_namespace="cliproxy-system")

    object = pod


class Port:
    """A webhook port and the Secret it is served from."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self.kube = SecretKube()
        self.metrics = Metrics()
        self.tasks = Tasks()
        env = {
            "CLIPROXY_WEBHOOKS": "1",
            "CLIPROXY_WEBHOOK_HOST": "127.0.0.1",
            "CLIPROXY_WEBHOOK_PORT": str(self.port),
        }
        settings = read_webhook_settings(env)
        assert settings is not None
        self.serving = Serving(
            kube=cast("Kube", self.kube),
            settings=settings,
            namespace="cliproxy-system",
            metrics=self.metrics,
            tasks=self.tasks,
        )
        self.app = make_admission_app(cast("Desk", FakeDesk()), self.metrics)
        now = datetime.now(UTC)  # noqa: TID251 -- TLS reads the real clock as well
        self.authority = x509.new_authority(now + timedelta(days=2), now)

    def put(self, *, days: int = 1) -> Pair:
        """Put a new certificate into the Secret."""
        now = datetime.now(UTC)  # noqa: TID251 -- TLS reads the real clock as well
        ends = now + timedelta(days=days)
        pair = x509.issue(self.authority, name="localhost", purpose="server", ends=ends, now=now)
        texts = {"tls.crt": pair.certificate, "tls.key": pair.key.reveal()}
        data = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
        self.kube.objects["Secret", "cliproxy-webhook-tls"] = {"data": data}
        return pair

    def context(self) -> ssl.SSLContext:
        """Trust our authority alone."""
        return ssl.create_default_context(cadata=self.authority.certificate)

    async def post(self, path: str = "/admission/pods", body: Any = ASKED) -> tuple[int, bytes]:
        """Ask on a new connection."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with (
            aiohttp.ClientSession(f"https://localhost:{self.port}") as session,
            session.post(path, data=io.BytesIO(data), ssl=self.context()) as response,
        ):
            return response.status, await response.read()

    async def shown(self) -> str:
        """Return the certificate that a new connection is shown."""
        _, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.context(), server_hostname="localhost"
        )
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()
        return ssl.DER_cert_to_PEM_cert(der).strip()


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Port]:
    monkeypatch.setattr(module, "LOOK_S", 0.02)
    monkeypatch.setattr(module, "FIRST_LOOK_S", 0.02)
    made = Port()
    running = made.tasks.spawn(made.serving.run(made.app), "webhooks")
    yield made
    running.cancel()
    await made.tasks.stop()


async def until_served(port: Port) -> None:
    async def look() -> bool:
        try:
            return (await port.post())[0] == 200
        except aiohttp.ClientError:
            return False

    await eventually(look, what="the port answers")


async def test_without_a_certificate_nothing_listens_and_readiness_says_why(port: Port) -> None:
    async def said() -> bool:
        return port.serving.problem.endswith("cliproxy-system/cliproxy-webhook-tls is not there yet")

    await eventually(said)
    with pytest.raises(aiohttp.ClientConnectionError):
        await port.post()

    port.put()
    await until_served(port)
    assert port.serving.problem == ""


async def test_a_new_certificate_is_taken_while_running_and_a_bad_one_is_not(port: Port) -> None:
    first = port.put()
    await until_served(port)
    assert await port.shown() == first.certificate.strip()

    port.kube.objects["Secret", "cliproxy-webhook-tls"] = {"data": {"tls.crt": "bm8=", "tls.key": "bm8="}}
    looks = port.kube.reads

    async def looked() -> bool:
        return port.kube.reads > looks + 1

    await eventually(looked, what="the bad one is seen")
    assert await port.shown() == first.certificate.strip()

    second = port.put()

    async def taken() -> bool:
        return await port.shown() == second.certificate.strip()

    await eventually(taken, what="the new certificate is shown")
    port.kube.away = True
    assert (await port.post())[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/admission/pods", ASKED, 200),
        ("/admission/pods", b"no json", 400),
        ("/admission/pods", b"x" * (8 * 2**20 + 1), 413),
        ("/admission/elsewhere", ASKED, 404),
        ("/metrics", ASKED, 404),
    ],
)
async def test_answers(port: Port, path: str, body: Any, status: int) -> None:
    port.put()
    await until_served(port)

    answered, content = await port.post(path, body)

    assert answered == status
    if status == 200:
        response = json.loads(content)["response"]
        assert response["allowed"] is True
        assert b"cliproxy" in base64.b64decode(response["patch"])


async def test_a_defect_of_ours_is_a_500_so_that_the_failure_policy_decides(port: Port) -> None:
    port.put()
    await until_served(port)
    broken = {**ASKED, "request": {**ASKED["request"], "namespace": "broken"}}  # type: ignore[dict-item]

    assert (await port.post(body=broken))[0] == 500
    assert (await port.post())[0] == 200
    assert port.metrics.admissions.labels("pods", "defect")._value.get() == 1


async def test_a_port_that_is_taken_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.02)
    port = Port()
    port.put()
    with socket.create_server(("127.0.0.1", port.port)):
        running = port.tasks.forever(lambda: port.serving.run(port.app), "webhooks")

        async def told() -> bool:
            return "cannot be listened on" in port.serving.problem

        await eventually(told)
    await until_served(port)
    running.cancel()
    await port.tasks.stop()
