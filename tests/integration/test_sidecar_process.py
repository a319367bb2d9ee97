"""The sidecar as a process: starting, refusing to start, draining, booting alone."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from cliproxy_api import codec
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import Hang, Normal
from support import build
from support.sidecar import DEADLINE_S, HOST, TOKEN

MAX_RESIDENT_KB = 60 * 1024


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """A sidecar process with its own ports."""

    def __init__(self, extra: Mapping[str, str]) -> None:
        self.ports = {name: free_port() for name in ("PROXY", "CONTROL", "OBSERVE")}
        self.env = {
            "PATH": os.environ["PATH"],
            "POD_NAME": "sidecar-p",
            "POD_IP": HOST,
            "CLIPROXY_CONTROL_TOKEN": TOKEN,
            "CLIPROXY_DRAIN_TIMEOUT": "3s",
            **{f"CLIPROXY_{name}_PORT": str(port) for name, port in self.ports.items()},
            **extra,
        }
        self.url = f"http://{HOST}:{self.ports['PROXY']}"
        self.observe_url = f"http://{HOST}:{self.ports['OBSERVE']}"
        self.handle: asyncio.subprocess.Process

    async def start(self, *arguments: str) -> None:
        """Start; output is captured."""
        self.handle = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cliproxy_sidecar",
            *arguments,
            env=self.env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def live(self, client: httpx.AsyncClient) -> None:
        """Wait until it serves."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                try:
                    await client.get(f"{self.observe_url}/health/live")
                except httpx.TransportError:
                    assert self.handle.returncode is None
                    await asyncio.sleep(0.02)
                else:
                    return

    async def push(self, client: httpx.AsyncClient, scripted: ScriptedProvider) -> None:
        """Push a snapshot with one provider."""
        url = f"http://{HOST}:{self.ports['CONTROL']}/v0/control/snapshot"
        body = codec.encode(build.push(build.built(scripted)))
        response = await client.put(url, content=body, headers={"authorization": f"Bearer {TOKEN}"})
        assert response.status_code == 200

    async def end(self) -> tuple[int, str, str]:
        """Wait for its end; return exit code and output."""
        async with asyncio.timeout(DEADLINE_S):
            out, err = await self.handle.communicate()
        assert self.handle.returncode is not None
        return self.handle.returncode, out.decode(), err.decode()

    def resident_kb(self) -> int:
        """Return the resident memory."""
        status = Path(f"/proc/{self.handle.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


@asynccontextmanager
async def process(**extra: str) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """Run a sidecar process, and end it whatever happens."""
    sidecar = Process(extra)
    await sidecar.start()
    try:
        async with httpx.AsyncClient(timeout=DEADLINE_S) as client:
            await sidecar.live(client)
            yield sidecar, client
    finally:
        if sidecar.handle.returncode is None:
            sidecar.handle.kill()
            await sidecar.handle.communicate()


CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


async def test_requests_in_flight_finish_before_the_end(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.always(Normal(latency_s=0.5))
    async with process() as (sidecar, client):
        await sidecar.push(client, scripted_openai)
        call = asyncio.ensure_future(client.post(f"{sidecar.url}/v1/chat/completions", json=CHAT))
        await scripted_openai.wait_for_requests(1)
        sidecar.handle.send_signal(signal.SIGTERM)
        assert (await call).status_code == 200
        code, out, err = await sidecar.end()
    assert (code, err) == (0, "")
    assert '"msg":"request_success"' in out


async def test_a_request_that_does_not_finish_is_ended_with_the_drain(
    scripted_openai: ScriptedProvider,
) -> None:
    scripted_openai.always(Hang())
    async with process(CLIPROXY_DRAIN_TIMEOUT="1s") as (sidecar, client):
        await sidecar.push(client, scripted_openai)
        call = asyncio.ensure_future(client.post(f"{sidecar.url}/v1/chat/completions", json=CHAT))
        await scripted_openai.wait_for_requests(1)
        sidecar.handle.send_signal(signal.SIGTERM)
        code, _, _ = await sidecar.end()
        await asyncio.gather(call, return_exceptions=True)
    assert code == 0


async def test_it_is_small_when_it_serves(scripted_openai: ScriptedProvider) -> None:
    async with process() as (sidecar, client):
        await sidecar.push(client, scripted_openai)
        for _ in range(50):
            response = await client.post(f"{sidecar.url}/v1/chat/completions", json=CHAT)
            assert response.status_code == 200
        assert sidecar.resident_kb() < MAX_RESIDENT_KB


async def test_it_boots_alone_from_a_file(scripted_openai: ScriptedProvider, tmp_path: Path) -> None:
    boot = tmp_path / "snapshot.json"
    boot.write_bytes(codec.encode(build.push(build.built(scripted_openai))))
    alone = {"CLIPROXY_SNAPSHOT_FILE": str(boot), "CLIPROXY_STANDALONE": "1", "CLIPROXY_CONTROL_TOKEN": ""}
    async with process(**alone) as (sidecar, client):
        assert (await client.get(f"{sidecar.observe_url}/health/ready")).status_code == 200
        assert (await client.post(f"{sidecar.url}/v1/chat/completions", json=CHAT)).status_code == 200
        sidecar.handle.send_signal(signal.SIGINT)
        assert (await sidecar.end())[0] == 0


async def test_what_keeps_it_from_starting_is_said_in_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        cases = (
            ({"CLIPROXY_CONTROL_TOKEN": ""}, "CLIPROXY_CONTROL_TOKEN"),
            ({"CLIPROXY_CONTROL_TOKEN": "short"}, "16 characters"),
            ({"CLIPROXY_CONTROL_TOKEN_FILE": "/nowhere/token"}, "/nowhere/token"),
            ({"CLIPROXY_PROXY_PORT": "http"}, "CLIPROXY_PROXY_PORT='http'"),
            ({"CLIPROXY_LOG_LEVEL": "loud"}, "CLIPROXY_LOG_LEVEL='loud'"),
            ({"CLIPROXY_DRAIN_TIMEOUT": "soon"}, "CLIPROXY_DRAIN_TIMEOUT"),
            ({"CLIPROXY_PROXY_PORT": str(port)}, f"cannot serve proxy on {HOST}:{port}: the port is taken"),
        )
        for extra, sentence in cases:
            sidecar = Process(extra)
            await sidecar.start()
            code, _, err = await sidecar.end()
            assert code == 2, extra
            assert sentence in err
            assert "Traceback" not in err


async def test_help_names_every_variable() -> None:
    sidecar = Process({})
    await sidecar.start("--help")
    code, out, _ = await sidecar.end()
    assert code == 0
    assert "CLIPROXY_DRAIN_TIMEOUT" in out
    assert "(default: 8317)" in out
