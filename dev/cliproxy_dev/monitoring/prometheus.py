"""A real Prometheus on loopback that scrapes what it is told to, and questions to it."""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from cliproxy_dev.controlplane.tools import tool
from cliproxy_dev.ports import free_ports
from cliproxy_dev.process import ManagedProcess

READY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One series' value now."""

    labels: Mapping[str, str]
    value: float


class Prometheus:
    """One that runs."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self._http = http

    async def query(self, expr: str) -> list[Sample]:
        """Evaluate an expression now. Raises `ValueError` with Prometheus' words if it refuses it."""
        found = await self._get("query", {"query": expr})
        if found["resultType"] == "scalar":
            return [Sample({}, float(found["result"][1]))]
        return [Sample(one["metric"], float(one["value"][1])) for one in found["result"]]

    async def rules(self) -> list[dict[str, Any]]:
        """Return every rule with its health and its alerts."""
        groups = (await self._get("rules", {}))["groups"]
        return [rule for group in groups for rule in group["rules"]]

    async def _get(self, what: str, params: dict[str, str]) -> Any:
        async with self._http.get(f"{self.url}/api/v1/{what}", params=params) as response:
            answer = await response.json()
        if answer["status"] != "success":
            raise ValueError(f"{answer['errorType']}: {answer['error']}: {params}")
        return answer["data"]


@contextlib.asynccontextmanager
async def running_prometheus(
    folder: Path, jobs: Mapping[str, Sequence[str]], *, rules: Path, scrape_s: int = 1
) -> AsyncIterator[Prometheus]:
    """Run one that scrapes `jobs` (name -> host:port of each target) and judges `rules` (an absolute path).

    Raises:
        CannotObtain: this machine cannot get it.

    """
    program = tool("prometheus", "usr/bin/prometheus", os.environ)
    config = {
        "global": {"scrape_interval": f"{scrape_s}s", "evaluation_interval": f"{scrape_s}s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": list(targets)}]}
            for name, targets in jobs.items()
        ],
    }
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    process = ManagedProcess(
        "prometheus",
        [
            str(program),
            f"--config.file={path}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={url[7:]}",
        ],
        log_path=folder / "prometheus.log",
        cwd=folder,
    )
    process.start()
    async with aiohttp.ClientSession() as http:

        async def ready() -> bool:
            try:
                async with http.get(f"{url}/-/ready") as answer:
                    return answer.status == 200  # noqa: PLR2004 -- HTTP's own number
            except aiohttp.ClientError:
                return False

        try:
            await process.wait_ready(ready, within_s=READY_S)
            yield Prometheus(url, http)
        finally:
            await process.stop()
