"""The story, step by step: each shows real commands with their real output and proves what it claims.

A step that does not see what it expects within its time raises `StepFailed`; starting and stopping the parts
is left to `launch`, wording on the screen to `narrator`.
"""

import asyncio
import json
import shlex
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn

from cliproxy_dev.clock import now_s
from cliproxy_dev.demo.layout import NAMESPACE, PODS
from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.demo.world import World

POLL_S = 0.002
"""Fine enough to show milliseconds; loopback answers in less."""
RETRY_AFTER_S = 8


class StepFailed(AssertionError):
    """The story did not go as promised; the message says what was expected and what was seen."""


class Scenario:
    """The main job, played on a running world."""

    def __init__(self, world: World, narrator: Narrator) -> None:
        """`world` must be up; `narrator` gets every line."""
        self._world = world
        self._tell = narrator

    async def play(self) -> None:
        """Play every step in order; raises `StepFailed` at the first that does not hold."""
        for step in (
            self._dashboard,
            self._two_formats,
            self._rate_limit,
            self._change,
            self._recovery,
            self._outage,
            self._wrong_object,
        ):
            await step()

    # ------------------------------------------------------------------ steps

    async def _dashboard(self) -> None:
        self._tell.chapter("The dashboard is kubectl")
        await self._until(
            "every provider is Healthy and in force in both sidecars",
            self._world.all_healthy,
            within_s=20,
        )
        await self._kubectl("get", "llm")
        self._tell.proven("four providers are Healthy and run in 2 of 2 sidecars")

    async def _two_formats(self) -> None:
        self._tell.chapter("An application speaks OpenAI or Anthropic and holds no key")
        await self._ask("openai", "app-1", "gpt-4o-mini", served_by="openai")
        await self._ask("anthropic", "app-2", "claude-sonnet-5", served_by="claude")
        self._tell.proven("both answers came through a sidecar, with the key that only the sidecar has")

    async def _rate_limit(self) -> None:
        self._tell.chapter(f"claude answers 429 with Retry-After: {RETRY_AFTER_S} at one sidecar")
        self._tell.say("The next request through app-1 meets the rate limit; the caller must not notice.")
        # The first question loads a sidecar's operations API: that is no part of what is timed here.
        await asyncio.gather(*(self._world.refrains(pod, "claude") for pod in PODS))
        await self._world.preset("claude", "anthropic.rate_limit", times=1, retry_after=RETRY_AFTER_S)
        watchers = [asyncio.ensure_future(self._refrains(pod, "claude")) for pod in PODS]
        cooling = asyncio.ensure_future(self._shows_cooldown("claude"))
        await self._ask("anthropic", "app-1", "claude-sonnet-5", served_by="claude-backup")
        met_s, heard_s = await asyncio.gather(*watchers)
        status, shown_s = await cooling
        await self._ask("anthropic", "app-2", "claude-sonnet-5", served_by="claude-backup")
        await self._kubectl("get", "llmproviders")
        self._tell.proven(
            f"app-2 refrained from claude about {_ms_after(met_s, heard_s)} ms after app-1 had met the 429, "
            f"status showed it after {_ms_after(met_s, shown_s)} ms: until {status['cooldownUntil']}, "
            f"because {status['reason']}"
        )

    async def _change(self) -> None:
        self._tell.chapter("A changed object is live in both sidecars")
        patch = json.dumps({"spec": {"weight": 50}})
        await self._kubectl("patch", "llmprovider", "openai", "--type=merge", "--patch", patch)
        changed_s = now_s()
        generation = (await self._world.provider("openai"))["metadata"]["generation"]
        await asyncio.gather(*(self._runs(pod, "openai", generation) for pod in PODS))
        live_ms = (now_s() - changed_s) * 1000
        self._tell.proven(
            f"generation {generation} runs in both sidecars at most {live_ms:.0f} ms after kubectl returned"
        )

    async def _recovery(self) -> None:
        self._tell.chapter("claude comes back through one half-open trial")
        self._tell.say(
            "The rest of the wait, then one sidecar may send one request; its success opens the way in steps."
        )
        await self._until_status(
            "claude",
            lambda status: _phases(status) == {"HalfOpen"},
            "one sidecar holds the trial permit",
            within_s=15,
        )
        before = await self._world.requests_count("claude", "/v1/messages")
        await self._traffic_until(
            "anthropic", "claude-sonnet-5", "claude", lambda status: _phases(status) != {"HalfOpen"}
        )
        served = await self._world.requests_count("claude", "/v1/messages") - before
        if served < 1:
            self._fail("no request reached claude although its trial was settled")
        await self._traffic_until(
            "anthropic", "claude-sonnet-5", "claude", lambda status: status["phase"] == "Healthy"
        )
        await self._kubectl("get", "llmproviders")
        await self._kubectl(
            "get",
            "events",
            "--field-selector=involvedObject.name=claude",
            "--sort-by=.lastTimestamp",
            "-o=custom-columns=TYPE:.type,REASON:.reason,MESSAGE:.message",
        )
        self._tell.proven(
            "a trial passed, the share grew step by step, claude is Healthy again; nobody did anything"
        )

    async def _outage(self) -> None:
        self._tell.chapter("A provider goes down and heals itself")
        await self._world.down("openai")
        self._tell.say(
            "openai refuses connections; callers are served by vllm, which has the model under another name."
        )
        await self._ask("openai", "app-1", "gpt-4o-mini", served_by="vllm")
        await self._traffic_until(
            "openai", "gpt-4o-mini", "openai", lambda status: status["phase"] == "Unhealthy"
        )
        await self._kubectl("get", "llmproviders", "openai", "vllm")
        await self._world.up("openai")
        self._tell.say("It is up again.")
        await self._traffic_until(
            "openai", "gpt-4o-mini", "openai", lambda status: status["phase"] == "Healthy"
        )
        await self._ask("openai", "app-2", "gpt-4o-mini", served_by="openai")
        self._tell.proven("no caller saw an error; probes and one trial brought openai back")

    async def _wrong_object(self) -> None:
        self._tell.chapter("A wrong object harms nobody and says what to do")
        patch = json.dumps(
            {"spec": {"credentials": [{"name": "main", "secretRef": {"name": "nowhere", "key": "x"}}]}}
        )
        await self._kubectl("patch", "llmprovider", "vllm", "--type=merge", "--patch", patch)
        status = await self._until_status(
            "vllm", lambda status: status["phase"] == "Misconfigured", "it is Misconfigured"
        )
        await self._kubectl("get", "llmprovider", "vllm")
        accepted = next(item for item in status["conditions"] if item["type"] == "Accepted")
        self._tell.output(f"Accepted={accepted['status']}: {accepted['message']}")
        await self._ask("openai", "app-1", "gpt-4o-mini", served_by="openai")
        await self._kubectl("apply", "-f", str(self._world.manifest("providers.yaml")), quiet=True)
        await self._until_status("vllm", lambda status: status["phase"] == "Healthy", "it is Healthy again")
        self._tell.proven(
            "the message named the Secret; the others served on; applying the right object healed it"
        )

    # ------------------------------------------------------------------ seeing

    async def _until(self, what: str, seen: Callable[[], Awaitable[bool]], *, within_s: float) -> None:
        deadline_s = now_s() + within_s
        while not await seen():
            if now_s() > deadline_s:
                self._fail(f"expected that {what} within {within_s:g} s")
            await asyncio.sleep(POLL_S)

    async def _until_status(
        self, name: str, holds: Callable[[dict[str, Any]], bool], what: str, *, within_s: float = 10
    ) -> dict[str, Any]:
        """Poll one provider's status until `holds`; return that status."""
        status: dict[str, Any] = {}

        async def seen() -> bool:
            nonlocal status
            status = await self._world.status(name)
            return bool(status) and holds(status)

        try:
            await self._until(f"of {name}: {what}", seen, within_s=within_s)
        except StepFailed as error:
            raise StepFailed(f"{error}; its status is {json.dumps(status)}") from None
        return status

    async def _refrains(self, pod: str, provider: str) -> float:
        """Wait until a sidecar refrains from a provider; return when that was seen."""
        what = f"{pod} refrains from {provider}"
        await self._until(what, lambda: self._world.refrains(pod, provider), within_s=10)
        return now_s()

    async def _shows_cooldown(self, provider: str) -> tuple[dict[str, Any], float]:
        """Wait until a provider's status shows its cooldown; return the status, and when that was seen."""
        status = await self._until_status(
            provider, lambda status: status["phase"] == "CoolingDown", "its status says CoolingDown"
        )
        return status, now_s()

    async def _runs(self, pod: str, provider: str, generation: int) -> None:
        what = f"{pod} runs generation {generation} of {provider}"
        await self._until(what, lambda: self._world.runs_generation(pod, provider, generation), within_s=5)

    async def _traffic_until(
        self, dialect: str, model: str, provider: str, holds: Callable[[dict[str, Any]], bool]
    ) -> None:
        """Send a request through each sidecar ten times a second until the provider's status `holds`."""
        answers: list[int] = []

        async def traffic() -> None:
            while True:
                answers.extend(await asyncio.gather(*(self._world.ask(dialect, pod, model) for pod in PODS)))
                await asyncio.sleep(0.1)

        sender = asyncio.ensure_future(traffic())
        try:
            await self._until_status(provider, holds, "the story's next state is reached", within_s=30)
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        if wrong := [status for status in answers if status != 200]:  # noqa: PLR2004 -- HTTP's OK
            self._fail(f"{len(wrong)} of {len(answers)} callers got an error: {sorted(set(wrong))}")
        self._tell.proven(f"{len(answers)} requests meanwhile, all answered")

    # ------------------------------------------------------------------ doing

    async def _kubectl(self, *arguments: str, quiet: bool = False) -> None:
        await self._show(["kubectl", "--namespace", NAMESPACE, *arguments], quiet=quiet)

    async def _ask(self, dialect: str, pod: str, model: str, *, served_by: str) -> None:
        """Ask through one sidecar with the little client and insist on who answered."""
        url = self._world.proxy_url(pod)
        output = await self._show(
            ["python", "-m", "cliproxy_dev.demo.ask", dialect, url, "--model", model, "Say hello"]
        )
        if f"x-cliproxy-provider: {served_by}" not in output.splitlines():
            self._fail(f"expected an answer by {served_by}")

    async def _show(self, command: Sequence[str], *, quiet: bool = False) -> str:
        """Run a command of the virtual environment, show it and what it prints; a failure fails the step."""
        self._tell.command(command)
        process = await asyncio.create_subprocess_exec(
            str(self._world.tools / command[0]),
            *command[1:],
            env=self._world.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            printed, _ = await asyncio.wait_for(process.communicate(), timeout=30)
        finally:
            if process.returncode is None:
                process.kill()
        output = printed.decode("utf-8", "replace")
        if not quiet:
            self._tell.output(output)
        if process.returncode != 0:
            self._fail(f"the command above ended with {process.returncode}:\n{output if quiet else ''}")
        return output

    def _fail(self, message: str) -> NoReturn:
        raise StepFailed(message)


def _ms_after(first_s: float, then_s: float) -> str:
    """Return how long after; both were seen by polling, so that nothing shorter than its pause is known."""
    return f"{max(then_s - first_s, POLL_S) * 1000:.0f}"


def _phases(status: dict[str, Any]) -> set[str]:
    """Return the phases of all cooldowns in a provider's status."""
    return {cooldown.get("phase", "Cooling") for cooldown in status.get("cooldowns", [])}


def print_goodbye(world: World, tell: Narrator) -> None:
    """Say how to talk to the world while it stays up."""
    kubectl = f"kubectl -n {NAMESPACE}"
    question = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]})
    tell.chapter("It stays up; Ctrl-C stops everything")
    tell.output(
        f"""\
export KUBECONFIG={shlex.quote(str(world.plane.kubeconfig))} PATH="$PATH":{shlex.quote(str(world.tools))}
{kubectl} get llm -o wide
{kubectl} cliproxy status
{kubectl} logs app-1 -c cliproxy --tail=5
{kubectl} annotate llmprovider claude cliproxy.io/cooldown=1m

curl -s {world.proxy_url("app-1")}/v1/chat/completions -d '{question}'
curl -s {world.proxy_url("app-2")}/v0/operations/cooldown/status
curl -s -H 'Authorization: Bearer {world.plane.token}' {world.operator_url}/v0/operations/providers/status

# claude's next five answers are 529 overloaded:
curl -s -X POST '{world.control_url("claude")}/_script/preset/anthropic.overloaded?times=5'

logs: {world.run_dir / "logs"}"""
    )
