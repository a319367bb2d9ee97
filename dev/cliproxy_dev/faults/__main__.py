"""Play the faults and write docs/faults.md: `python -m cliproxy_dev.faults` (`make faults`).

    make faults [ONLY=killed,paused] [RUNS=5] [SEED=7]

Exit codes: 0 every invariant held, 1 some did not or a fault could not be played, 2 the command line.
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import traceback
from pathlib import Path

from cliproxy_dev.clock import utc_now
from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.faults import document, netns, record, table
from cliproxy_dev.faults.field import Field, NotSeen, running_field
from cliproxy_dev.faults.plan import PLANS, Plan
from cliproxy_dev.faults.run import Run

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "faults.md"
RECORD = DOCUMENT.with_suffix(".json")
LOGS = ("operator", "operator-1", "node-agent", "providers")


class Suite:
    """All that is played, and what came of it."""

    def __init__(self, tell: Narrator, *, seed: int, runs: int | None, keep: Path | None) -> None:
        self.rows: list[table.Row] = []
        self._tell = tell
        self._seed = seed
        self._runs = runs
        self._keep = keep

    async def play(self, plan: Plan, no_network: str) -> None:
        """Play all runs of one fault in a world of its own."""
        row = table.Row(plan.name, plan.title)
        self.rows.append(row)
        self._tell.chapter(plan.title)
        if plan.cuts and no_network:
            row.skipped = no_network
            self._tell.failed(f"not played: {no_network}")
            return
        with tempfile.TemporaryDirectory(prefix="cliproxy-faults-") as temporary:
            folder = self._keep / plan.name if self._keep else Path(temporary)
            async with running_field(folder, self._tell, seed=self._seed, setting=plan.setting) as field:
                row.taken = self._taken(field.world.plane.version)
                row.notes = field.notes
                async with plan.around(field):
                    await self._all_runs(plan, field, row)
        self._tell.say(table.HEAD.splitlines()[0])
        self._tell.say(table.line(row))

    async def _all_runs(self, plan: Plan, field: Field, row: table.Row) -> None:
        runs = self._runs or plan.runs
        for number in range(runs):
            self._tell.progress(f"{plan.name}: run {number + 1} of {runs}")
            run = Run(field)
            try:
                await plan.play(field, run, number)
            except NotSeen as error:
                run.seen.stuck.append(str(error))
            verdict = await run.finish()
            row.verdicts.append(verdict)
            for words in verdict.words:
                self._tell.failed(words)
            if verdict.passed:
                self._tell.proven(f"{verdict.requests} requests, {verdict.writes} writes, nothing lost")
            elif verdict.stuck or verdict.stale:
                for name in LOGS:
                    self._tell.say(f"the last words of {name}:")
                    self._tell.output(field.world.log_tail(name))

    def _taken(self, api_server: str) -> str:
        machine = f"{os.cpu_count()} CPUs, Python {platform.python_version()}"
        return f"{utc_now():%Y-%m-%d} on {machine}, kube-apiserver {api_server}, seed {self._seed}"


async def _play(suite: Suite, plans: list[Plan], no_network: str) -> bool:
    """Play all; a fault whose world breaks down is told and the next one played."""
    whole = True
    for plan in plans:
        try:
            await suite.play(plan, no_network)
        except Exception:  # noqa: BLE001 -- the other faults are to be played all the same
            whole = False
            print(traceback.format_exc(), file=sys.stderr, flush=True)
    return whole


def main() -> int:
    """Parse the command line and play."""
    parser = argparse.ArgumentParser(prog="make faults", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--only", default="", metavar="NAME,NAME", help=", ".join(plan.name for plan in PLANS)
    )
    parser.add_argument("--runs", type=int, help="of each fault, instead of as many as it asks for")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dry", action="store_true", help="write no document")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the worlds' files, logs among them")
    arguments = parser.parse_args()
    wanted = set(filter(None, arguments.only.split(",")))
    if unknown := wanted - {plan.name for plan in PLANS}:
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    plans = [plan for plan in PLANS if not wanted or plan.name in wanted]
    no_network = "" if netns.is_private() else netns.enter("cliproxy_dev.faults")
    tell = Narrator()
    suite = Suite(tell, seed=arguments.seed, runs=arguments.runs, keep=arguments.keep)
    whole = asyncio.run(_play(suite, plans, no_network))
    print(f"\n{table.render(suite.rows)}", flush=True)
    if not arguments.dry:
        rows = record.merged(record.load(RECORD), suite.rows, (plan.name for plan in PLANS))
        record.save(RECORD, rows)
        page = document.replace(DOCUMENT.read_text("utf-8"), table.render(rows))
        DOCUMENT.write_text(page, "utf-8")
    return 0 if whole and all(row.passed for row in suite.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
