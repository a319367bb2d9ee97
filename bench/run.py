"""Race LLM gateways side by side on this machine and write docs/benchmarks.md and its picture.

    .venv/bin/python bench/run.py [--quick] [--only ours,ferro] [--dry] [--install]

Installs what it needs into the cache on the first run. See docs/benchmarks.md for what is measured and how.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

import msgspec

from cliproxy_dev.clock import utc_now
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.process import ProcessFailed
from gateways import document, interpreter, machine, plot, table
from gateways.contenders import CONTENDERS
from gateways.figures import Missing, Race, Result
from gateways.launch import Contender, Place
from gateways.nginx import DEBIAN_PACKAGES as NGINX_PACKAGES
from gateways.packages import Cache, CannotInstall
from gateways.race import FULL, QUICK, WRK_PACKAGES, Cores, open_track
from gateways.serving import LoadFailed

DOCS = Path(__file__).parents[1] / "docs"
QUIET_LOAD = 0.5


def chosen(names: str | None) -> list[Contender]:
    """Return the contenders of these names, all for None. Raises ValueError for a name that is none."""
    if names is None:
        return list(CONTENDERS)
    wanted = {name.strip() for name in names.split(",")}
    known = {contender.key: contender for contender in CONTENDERS}
    if strange := wanted - known.keys():
        raise ValueError(f"no such contender: {', '.join(sorted(strange))}; there are {', '.join(known)}")
    return [contender for contender in CONTENDERS if contender.key in wanted]


def install(contenders: list[Contender], cache: Cache, home: Path) -> list[Missing]:
    """Install all of them before anything is measured; return those that cannot be had."""
    missing = []
    for contender in contenders:
        folder = home / f"install-{contender.key}"
        folder.mkdir()
        try:
            contender.prepare(cache, Place(folder, 1, (1, 1, 1)))
        except CannotInstall as error:
            missing.append(Missing(key=contender.key, title=contender.title, reason=str(error)))
    return missing


def install_tools(cache: Cache) -> list[str]:
    """Fetch load generator and provider; return why those that cannot be had cannot."""
    lacking = []
    for program, packages in (("wrk", WRK_PACKAGES), ("nginx", NGINX_PACKAGES)):
        try:
            cache.debian(program, packages)
        except CannotInstall as error:
            lacking.append(f"{program}, replaced by our own: {error}")
    return lacking


async def measure(
    contenders: list[Contender], cache: Cache, home: Path, progress: Progress, *, quick: bool
) -> Race:
    """Run the whole race."""
    cores = Cores.of(os.sched_getaffinity(0))
    missing = install(contenders, cache, home)
    gone = {entry.key for entry in missing}
    results: list[Result] = []
    async with open_track(cache, cores, QUICK if quick else FULL, home, progress.say) as track:
        progress.say("direct, without a gateway")
        results.append(await track.direct())
        for contender in contenders:
            if contender.key in gone:
                continue
            progress.say(f"{contender.title} {contender.version}".strip())
            try:
                results.append(await track.race(contender))
            except (CannotInstall, ProcessFailed, LoadFailed) as error:
                progress.say(f"{contender.key}: {error}")
                first_line = str(error).partition("\n")[0].replace(str(home), "…")
                missing.append(Missing(key=contender.key, title=contender.title, reason=first_line))
        return Race(
            date=f"{utc_now():%Y-%m-%d}",
            machine=machine.describe(),
            tools=track.tools,
            quick=quick,
            results=results,
            missing=missing,
        )


def write(race: Race, cache: Cache, *, dry: bool) -> None:
    """Print the table; keep the figures in the cache and, unless dry, write the document and the picture."""
    section = table.render(race)
    print(section)
    (cache.root / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(race)))
    if not dry:
        page = DOCS / "benchmarks.md"
        page.write_text(document.replace(page.read_text("utf-8"), section), "utf-8")
        (DOCS / "benchmarks.svg").write_text(plot.render(race), "utf-8")


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="two minutes instead of eight; sizes only")
    parser.add_argument("--only", metavar="NAMES", help="some contenders, such as ours,ferro; implies --dry")
    parser.add_argument("--dry", action="store_true", help="print the table, write no document")
    parser.add_argument("--install", action="store_true", help="install everything into the cache and exit")
    arguments = parser.parse_args()
    progress = Progress()
    cache = Cache(os.environ, progress.say)
    cache.root.mkdir(parents=True, exist_ok=True)
    try:
        contenders = chosen(arguments.only)
    except ValueError as error:
        parser.error(str(error))
    try:
        interpreter.hand_over(cache.sidecar)
    except CannotInstall as error:
        progress.say(f"the race runs on this interpreter, not on an optimised one: {error}")
    with tempfile.TemporaryDirectory(prefix="cliproxy-race-") as folder:
        home = Path(folder)
        if arguments.install:
            missing = install(contenders, cache, home)
            lacking = [f"{entry.title}: {entry.reason}" for entry in missing] + install_tools(cache)
            print("\n".join(lacking) or "all is installed")
            return 0
        if (load := machine.load_average()) > QUIET_LOAD:
            progress.say(f"this machine is busy (load {load:.1f}): figures will be too low")
        race = asyncio.run(measure(contenders, cache, home, progress, quick=arguments.quick))
        write(race, cache, dry=arguments.dry or arguments.only is not None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
