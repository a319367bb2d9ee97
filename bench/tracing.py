"""Say what tracing costs a request: instructions counted by callgrind, and CPU time, off and on in turns.

    .venv/bin/python bench/tracing.py [--requests 2000] [--rounds 3] [--before CHECKOUT] [--dry]

One sidecar process, one provider and one receiver of traces on loopback; the profile is pushed anew before
every turn, so that all variants run in the same process, one after the other, several times. `--before` adds
a second process that runs another checkout, such as one from before there was tracing. Instructions do not
depend on what else the machine does, so they are the figure; they need `valgrind`, and without it CPU time is
all there is. Writes its section of docs/tracing.md.
"""

import argparse
import asyncio
import math
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from cliproxy_api import codec
from cliproxy_api.snapshot import Position, Profile
from cliproxy_api.telling import Tracing
from cliproxy_dev.clock import now_s, utc_now
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.ports import free_ports
from cliproxy_dev.process import ManagedProcess
from gateways import document, machine, ours, serving, table
from gateways.launch import Launch, Place
from gateways.packages import Cache

PAGE: Final = Path(__file__).parents[1] / "docs" / "tracing.md"
COMMAND: Final = "bench-tracing"
CONNECTIONS: Final = 8
START_LIMIT_S: Final = 300.0
"""Below valgrind everything takes its time."""
SLOW_LINGER_S: Final = 25.0
"""In the place of one second, as all else is that much slower: else each batch were one span."""
_SLOWED: Final = (
    "import runpy; from cliproxy_sidecar.proxy.tracing import exporter; "
    f"exporter.LINGER_S = {SLOW_LINGER_S}; runpy.run_module('cliproxy_sidecar', run_name='__main__')"
)
IDLE_S: Final = 20.0
WARM: Final = 300
"""Requests before the first count: connections opened, caches filled."""
_TOTAL: Final = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)
_TAKEN: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
VARIANTS: Final = {"off": None, "failures only (rate 0)": 0.0, "rate 0.1": 0.1, "rate 1": 1.0}


class Turn(msgspec.Struct):
    """What one turn cost per request."""

    instructions: float | None
    cpu_us: float


class Subject:
    """A running sidecar and how to count what it does."""

    def __init__(self, process: ManagedProcess, launch: Launch, control: int, home: Path) -> None:
        self._process = process
        self._launch = launch
        self._control = control
        self._home = home
        self._sequence = 1
        self.linger_s = 1.0
        """How long spans may wait for others before they are sent."""
        self._idle_per_s = 0.0
        """Instructions that it takes to be there."""
        self.counts = bool(list(home.glob("callgrind*"))) or shutil.which("valgrind") is not None

    async def begin(self) -> None:
        """Count from now on: what it takes to start is of no interest."""
        if self.counts:
            await self._callgrind("--instr=on")
            self.linger_s = SLOW_LINGER_S

    async def rest(self) -> None:
        """Count what a sidecar does that nobody asks: a turn that takes longer has more of it."""
        await self._callgrind("--zero")
        begun_s = now_s()
        await asyncio.sleep(IDLE_S)
        idle = await self._callgrind("--dump")
        self._idle_per_s = (idle or 0) / (now_s() - begun_s)

    async def set(self, provider_url: str, tracing: Tracing | None) -> None:
        """Push the profile of a variant."""
        self._sequence += 1
        push = ours.snapshot_push(provider_url)
        snapshot = msgspec.structs.replace(push.snapshot, profile=Profile(tracing=tracing))
        push = msgspec.structs.replace(
            push, snapshot=codec.seal(snapshot), position=Position(1, self._sequence)
        )
        await ours.put(self._control, push)

    async def turn(self, requests: int) -> Turn:
        """Send so many requests and say what they cost."""
        await self._callgrind("--zero")
        before_ns, begun_s = self._cpu_ns(), now_s()
        await asked(self._launch, requests)
        # What is queued for the receiver belongs to the requests that left it.
        await asyncio.sleep(self.linger_s + 0.5)
        cpu_us = (self._cpu_ns() - before_ns) / 1000 / requests
        dumped = await self._callgrind("--dump")
        idle = (now_s() - begun_s) * self._idle_per_s
        return Turn(None if dumped is None else (dumped - idle) / requests, cpu_us)

    def _cpu_ns(self) -> int:
        return sum(
            int(path.read_text().split()[0])
            for path in Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        )

    async def _callgrind(self, what: str) -> int | None:
        if not self.counts:
            return None
        known = set(self._home.glob("callgrind.out*"))
        command = ["callgrind_control", what, str(self._process.pid)]
        asking = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        if await asking.wait() != 0:
            raise SystemExit(f"{' '.join(command)} failed")
        if what != "--dump":
            return None
        for path in set(self._home.glob("callgrind.out*")) - known:
            found = _TOTAL.findall(path.read_text("utf-8", "replace"))
            path.unlink()
            return int(found[-1])
        raise SystemExit("callgrind has written nothing")


async def asked(launch: Launch, count: int) -> None:
    """Send so many requests over a few connections and read their answers."""
    request = launch.request()
    left = iter(range(count))

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", launch.port)
        for _ in left:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"the sidecar answers {head[:200]!r}")
            length = _LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(one())


async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take batches of spans."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = _LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
            writer.write(_TAKEN)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@asynccontextmanager
async def subject(
    name: str, home: Path, provider_port: int, cache: Cache, checkout: Path | None
) -> AsyncIterator[Subject]:
    """Run a sidecar of a checkout (None: this one) until the block ends."""
    folder = home / name
    folder.mkdir()
    ports = serving.three_ports()
    launch = ours.prepare(cache, Place(folder, provider_port, ports))
    command: tuple[str, ...] = launch.command
    if shutil.which("valgrind") is not None:
        out = f"--callgrind-out-file={folder}/callgrind.out"
        command = ("valgrind", "--tool=callgrind", "-q", "--instr-atstart=no", out, sys.executable)
        command += ("-c", _SLOWED) if checkout is None else launch.command[1:]
    env = {**launch.env, "PYTHONHASHSEED": "0"}
    if checkout is not None:
        env["PYTHONPATH"] = f"{checkout}/api:{checkout}/sidecar"
    async with serving.running(name, command, folder, env) as process:
        await serving.first_answer(process, launch, since_s=0.0, within_s=START_LIMIT_S)
        made = Subject(process, launch, ports[1], folder)
        await made.begin()
        await asked(launch, WARM)
        await made.rest()
        yield made


async def measure(arguments: argparse.Namespace, home: Path, say: Progress) -> dict[str, list[Turn]]:
    """Run all turns; return them by variant."""
    cache, (provider_port, receiver_port) = Cache({}, say.say), free_ports(2)
    provider = (sys.executable, str(Path(__file__).parent / "gateways" / "provider.py"), str(provider_port))
    url = f"http://127.0.0.1:{provider_port}"
    turns: dict[str, list[Turn]] = {name: [] for name in VARIANTS}
    receiver = await asyncio.start_server(take, "127.0.0.1", receiver_port)
    async with (
        receiver,
        serving.running("provider", provider, home),
        subject("now", home, provider_port, cache, None) as now,
    ):
        for number in range(arguments.rounds):
            for name, rate in VARIANTS.items():
                to = f"http://127.0.0.1:{receiver_port}/v1/traces"
                await now.set(url, None if rate is None else Tracing(url=to, sample_rate=rate))
                turns[name].append(await now.turn(arguments.requests))
                say.say(f"round {number + 1}, {name}: {turns[name][-1]}")
        if arguments.before is not None:
            before = turns["before"] = []
            async with subject("before", home, provider_port, cache, arguments.before.resolve()) as old:
                for number in range(arguments.rounds):
                    await old.set(url, None)
                    before.append(await old.turn(arguments.requests))
                    say.say(f"round {number + 1}, before: {before[-1]}")
    return turns


def render(turns: dict[str, list[Turn]], requests: int) -> str:
    """Return the section."""
    base = _middle(turns["off"])
    rows = []
    for name, found in turns.items():
        middle = _middle(found)
        more = f"{_cost(middle) / _cost(base) - 1:+.2%}" if name != "off" else ""
        count = "" if middle.instructions is None else f"{middle.instructions:,.0f}"
        rows.append(["code without tracing" if name == "before" else name, count, more])
    facts = ", ".join(f"{name}: {value}" for name, value in machine.describe().items())
    what = "instructions" if base.instructions is not None else "CPU time; no valgrind on this machine"
    about = (
        f"Measured {utc_now():%Y-%m-%d} by `make {COMMAND}` ({facts}): {what}; the median of "
        f"{len(turns['off'])} turns of {requests:,} requests each (chat completions of about 1 KB), sending "
        "the spans included, what an idle sidecar does anyhow left out."
    )
    return f"{about}\n\n{table.columns(['tracing', 'instructions per request', 'against off'], rows)}"


def _middle(turns: list[Turn]) -> Turn:
    counted = [turn.instructions for turn in turns if turn.instructions is not None]
    return Turn(median(counted) if counted else None, median([turn.cpu_us for turn in turns] or [math.nan]))


def _cost(turn: Turn) -> float:
    return turn.cpu_us if turn.instructions is None else turn.instructions


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--requests", type=int, default=2000, help="of one turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="another checkout, traced never")
    parser.add_argument("--dry", action="store_true", help="print the table, write no document")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cliproxy-tracing-") as folder:
        turns = asyncio.run(measure(arguments, Path(folder), Progress()))
    section = render(turns, arguments.requests)
    print(section)
    if not arguments.dry:
        PAGE.write_text(document.replace(PAGE.read_text("utf-8"), section, COMMAND), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
