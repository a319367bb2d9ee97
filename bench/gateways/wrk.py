"""wrk: the script that it runs, its command line and what it says. Starting it is left to `race`."""

import json
from pathlib import Path
from typing import Final

import msgspec

MARK: Final = "RACE "
_SCRIPT: Final = """\
wrk.method = "POST"
wrk.body = %s
wrk.headers = %s
done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '%s{"requests":%%.0f,"duration_us":%%.0f,"p50_us":%%.0f,"p99_us":%%.0f,"failed":%%.0f}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), failed))
end
"""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What wrk measured."""

    requests: int
    duration_us: float
    p50_us: float
    p99_us: float
    failed: int
    """Answers other than 2xx and 3xx, and connections that broke or timed out."""

    @property
    def requests_per_s(self) -> float:
        """Answered well, per second."""
        return max(0, self.requests - self.failed) / self.duration_us * 1e6


def script(body: bytes, headers: dict[str, str]) -> str:
    """Return the Lua script that sends this request and prints one line of JSON at the end."""
    pairs = ", ".join(f"[{_lua(name)}] = {_lua(value)}" for name, value in headers.items())
    return _SCRIPT % (_lua(body.decode()), f"{{{pairs}}}", MARK)


def command(program: Path, script_path: Path, url: str, *, connections: int, seconds: float) -> list[str]:
    """Return wrk's command line: one thread, as it has one core."""
    options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    return [str(program), *options, "-s", str(script_path), url]


def parse(text: str) -> Summary:
    """Read what wrk printed; raises ValueError when it did not get to the end."""
    for line in text.splitlines():
        if line.startswith(MARK):
            return msgspec.json.decode(line.removeprefix(MARK), type=Summary)
    raise ValueError(f"wrk did not finish: {text.strip() or 'it said nothing'}")


def _lua(text: str) -> str:
    """Write a string of printable ASCII, where JSON and Lua agree."""
    if not text.isascii() or not text.isprintable():
        raise ValueError("only printable ASCII is the same in JSON and in Lua")
    return json.dumps(text)
