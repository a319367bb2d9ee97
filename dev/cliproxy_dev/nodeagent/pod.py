"""One pod of this node: bound, given an address and volumes, run, reported on, taken away.

Which pods are ours is left to `agent`, a single process to `container`, the form of a status to `status`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import aiohttp

from cliproxy_dev.clock import rfc3339, utc_now
from cliproxy_dev.kube import ApiError, Json, KubeApi
from cliproxy_dev.kubeconfig import Endpoint
from cliproxy_dev.nodeagent import playing, status
from cliproxy_dev.nodeagent.addresses import AddressPool, NoAddress
from cliproxy_dev.nodeagent.container import Container, Recipe
from cliproxy_dev.nodeagent.environment import Unresolvable, command_line, resolve, secrets_needed, translate
from cliproxy_dev.nodeagent.images import Entry, Player, entry_point
from cliproxy_dev.nodeagent.probe import Probe
from cliproxy_dev.nodeagent.volumes import claim_name, lay_out, secret_name
from cliproxy_dev.tasks import Tasks

log = logging.getLogger(__name__)

NOT_FOUND, CONFLICT = 404, 409
DEFAULT_GRACE_S, LONGEST_GRACE_S = 30.0, 10.0
FIRST_RETRY_S, LONGEST_RETRY_S = 0.1, 3.0
# A container sees its own variables and what a bare image would give it, nothing of this process.
BASE_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ")
HOST_VARIABLES = ("CLIPROXY_PROXY_HOST", "CLIPROXY_HOST", "CLIPROXY_WEBHOOK_HOST")
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Node:
    """What all pods of one agent share."""

    name: str
    api: KubeApi
    session: aiohttp.ClientSession
    pool: AddressPool
    run_dir: Path
    images: Mapping[str, Entry]
    endpoint: Endpoint
    volume_owner: int | None = None
    """User id that volumes are given to; None: ours."""
    programs: Mapping[str, str] = field(default_factory=dict)
    """What this machine has for a path of an image, where a container is a process."""


class PodWorker:
    """Takes one pod through its life. `update` feeds it what the watch says; `gone` is called at its end."""

    def __init__(self, node: Node, pod: Json, *, gone: Callable[[], None]) -> None:
        self._node = node
        self._pod = pod
        self._gone = gone
        self._path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
        self._folder = node.run_dir / "pods" / pod["metadata"]["uid"]
        self._tasks = Tasks()
        self._containers: list[Container] = []
        self._shown: dict[Path, tuple[str, Json]] = {}
        self._heard = 0
        """How often a Secret of the namespace changed: what was read before may be old."""
        self._changed = asyncio.Event()
        self._deletion = asyncio.Event()
        self._started_utc = ""
        self.address = ""

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return str(self._pod["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self._pod["metadata"]["name"])

    def begin(self) -> None:
        """Start in the background."""
        self.update(self._pod)
        self._tasks.spawn(self._live(), f"pod {self.namespace}/{self.name}")

    def update(self, pod: Json) -> None:
        """Take in a newer version of the object."""
        self._pod = pod
        if pod["metadata"].get("deletionTimestamp"):
            self._deletion.set()

    def secret_changed(self, name: str, secret: Json | None) -> None:
        """Bring volumes that show this Secret up to date; what cannot be shown leaves them as they are."""
        self._heard += 1
        for place, (shown, volume) in self._shown.items():
            if shown == name:
                try:
                    lay_out(volume, secret, place, owner=self._node.volume_owner)
                except Unresolvable as error:
                    log.info("volume %s of pod %s stays: %s", volume["name"], self.name, error)

    def pid(self, container: str | None) -> int | None:
        """Return the process of the named container, or of the first that has one."""
        pids = [one.pid for one in self._containers if container in (None, one.name)]
        return next((pid for pid in pids if pid is not None), None)

    async def stop(self) -> None:
        """End everything without a word to the API server: the pod is gone, or this agent ends."""
        await self._tasks.stop()
        await self._stop_containers(LONGEST_GRACE_S)
        self._clean_up()

    # ------------------------------------------------------------------ life

    async def _live(self) -> None:
        if not self._deletion.is_set() and await self._is_ours():
            await self._prepare()
            running = [self._tasks.spawn(self._run_in_order(), f"containers of {self.name}")]
            reporting = self._tasks.spawn(self._keep_reporting(), f"status of {self.name}")
            await self._deletion.wait()
            await _cancel(running)
            await self._stop_containers(self._grace_s())
            await _cancel([reporting])
        if self._deletion.is_set():
            await self._confirm_deletion()
        self._clean_up()
        self._gone()

    async def _run_in_order(self) -> None:
        """Run every container; those that others wait for come first, and one by one."""
        running: list[asyncio.Task[None]] = []
        try:
            for one in self._containers:
                running.append(asyncio.ensure_future(one.run()))
                if one.view.once:
                    await running[-1]
                    if not one.succeeded:
                        return
            await asyncio.gather(*running)
        finally:
            await _cancel(running)

    async def _is_ours(self) -> bool:
        """Bind the pod to this node unless it is bound; False when another node has it or it is gone."""
        if self._pod["spec"].get("nodeName"):
            return True
        target = {"apiVersion": "v1", "kind": "Node", "name": self._node.name}
        metadata = {"name": self.name, "namespace": self.namespace, "uid": self._pod["metadata"]["uid"]}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}
        refused = await self._insist(lambda: self._node.api.create(f"{self._path}/binding", binding))
        return refused is None

    async def _prepare(self) -> None:
        before = self._pod.get("status") or {}
        self.address = await self._find_address(before.get("podIP", ""))
        if not self.address:
            return
        self._started_utc = before.get("startTime") or rfc3339(utc_now())
        entries = (before.get("containerStatuses") or []) + (before.get("initContainerStatuses") or [])
        # Processes of an earlier agent are gone: to the world that is a restart.
        restarts = {entry["name"]: entry["restartCount"] + bool(entry.get("started")) for entry in entries}
        spec = self._pod["spec"]
        helpers = spec.get("initContainers") or []
        self._containers = [self._container(one, restarts, helper=True) for one in helpers]
        self._containers += [self._container(one, restarts) for one in spec["containers"]]

    async def _find_address(self, preferred: str) -> str:
        """Claim an address, the pod stays Pending until one is free; empty if it is deleted meanwhile."""
        while not self._deletion.is_set():
            try:
                return self._node.pool.take(preferred)
            except NoAddress as error:
                log.warning("pod %s/%s stays Pending: %s", self.namespace, self.name, error)
                await asyncio.sleep(LONGEST_RETRY_S)
        return ""

    def _container(self, spec: Json, restarts: Mapping[str, int], *, helper: bool = False) -> Container:
        entry = entry_point(spec["image"], self._node.images)
        policy = self._pod["spec"].get("restartPolicy", "Always")
        once = helper and spec.get("restartPolicy") != "Always"
        if helper:
            policy = ("Never" if policy == "Never" else "OnFailure") if once else "Always"
        return Container(
            spec,
            recipe=None if entry is None else self._recipe(spec, entry),
            probe=None if entry is None else Probe.of(spec, self.address),
            restart_policy=policy,
            restarts=restarts.get(spec["name"], 0),
            log_path=self._node.run_dir / "logs" / f"{self.namespace}_{self.name}_{spec['name']}.log",
            session=self._node.session,
            changed=self._changed.set,
            helper=helper,
            once=once,
        )

    def _recipe(self, spec: Json, entry: list[str] | Player) -> Recipe:
        async def recipe() -> tuple[list[str], Mapping[str, str]]:
            secrets = {name: await self._secret(name) for name in secrets_needed(spec)}
            volumes = await self._volumes(spec)
            if isinstance(entry, Player):
                return await self._played(spec, entry, secrets, volumes)
            env = await self._surroundings(spec, secrets, volumes)
            return await self._on_this_machine(command_line(spec, entry, env)), env

        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return recipe

    async def _surroundings(
        self, spec: Json, secrets: Mapping[str, Json | None], volumes: Mapping[str, Path]
    ) -> dict[str, str]:
        """Return the environment of a container that is a process."""
        env = {name: os.environ[name] for name in BASE_VARIABLES if name in os.environ}
        env |= {"HOME": str(self._folder), "HOSTNAME": self.name}
        # Not the defaults, 127.0.0.1 and 0.0.0.0: those are the whole machine's here, not the pod's.
        env |= dict.fromkeys(HOST_VARIABLES, self.address)
        if playing.wants_token(self._pod):
            place, node = self._folder / "account", self._node
            await playing.account(node.api, node.endpoint, self._pod, place, owner=None)
            env["KUBECONFIG"] = str(playing.account_kubeconfig(node.endpoint, place))
        return env | resolve(self._pod, spec, pod_ip=self.address, secrets=secrets, volumes=volumes)

    async def _on_this_machine(self, words: list[str]) -> list[str]:
        """Return the words with what only a container sees put into this machine's terms."""
        known = dict(self._node.programs)
        if any(".svc" in word for word in words):
            names = await playing.service_names(self._node.api, self.namespace)
            known |= {name: address for name, address in names.items() if name.endswith(".svc")}
        return [translate(word, known) for word in words]

    async def inside(self, container: str, words: Sequence[str]) -> tuple[list[str], Mapping[str, str]]:
        """Return command line and environment of a command in a container that is a process.

        The pod's loopback address is the pod's own here, so it stands for 127.0.0.1 in both.

        Raises:
            Unresolvable: no such container, or it is a real one, whose inside is its player's.

        """
        specs = [one for one in self._pod["spec"]["containers"] if one["name"] == container]
        if not specs or isinstance(entry_point(specs[0]["image"], self._node.images), Player):
            raise Unresolvable(f"the local node agent cannot run a command in container {container}")
        secrets = {name: await self._secret(name) for name in secrets_needed(specs[0])}
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        env = await self._surroundings(specs[0], secrets, await self._volumes(specs[0]))
        loopback = {LOOPBACK: self.address}
        seen = {name: translate(value, loopback) for name, value in env.items()}
        return [translate(word, loopback) for word in await self._on_this_machine(list(words))], seen

    async def _played(
        self, spec: Json, player: Player, secrets: Mapping[str, Json | None], volumes: Mapping[str, Path]
    ) -> tuple[list[str], Mapping[str, str]]:
        """Return the command that plays a real container: it has mounts of its own, and an account."""
        env = {"CLIPROXY_PROXY_HOST": self.address, "HOSTNAME": self.name}
        known = {volume["name"]: volume for volume in self._pod["spec"].get("volumes") or []}
        mounts = playing.mounts(spec, volumes, known)
        if playing.wants_token(self._pod):
            place, node = self._folder / "account", self._node
            token, where = await playing.account(
                node.api, node.endpoint, self._pod, place, owner=node.volume_owner
            )
            mounts, env = (*mounts, token), env | where
        env |= resolve(self._pod, spec, pod_ip=self.address, secrets=secrets, volumes={})
        run = playing.describe(
            spec,
            name=f"{self.namespace}_{self.name}_{spec['name']}",
            env=env,
            mounts=mounts,
            hosts=await playing.service_names(self._node.api, self.namespace),
        )
        return playing.write_run(player, run, self._folder / f"{spec['name']}.json"), dict(os.environ)

    # ------------------------------------------------------------------ what it needs

    async def _secret(self, name: str) -> Json | None:
        """Read a Secret, None if there is none. Raises `Unresolvable` when the API server cannot say."""
        try:
            return await self._node.api.get(f"/api/v1/namespaces/{self.namespace}/secrets/{name}")
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise Unresolvable(f"cannot read secret {name}: {error}") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unresolvable(f"cannot read secret {name}: the API server is away") from error

    async def _volumes(self, spec: Json) -> dict[str, Path]:
        """Lay out the volumes that the container mounts; returns where they are."""
        known = {volume["name"]: volume for volume in self._pod["spec"].get("volumes") or []}
        places = {}
        for mount in spec.get("volumeMounts") or []:
            volume = known[mount["name"]]
            place, name = await self._place(volume), secret_name(volume)
            secret = None if name is None else await self._newest(name)
            lay_out(volume, secret, place, owner=self._node.volume_owner)
            if name is not None:
                self._shown[place] = (name, volume)
            places[mount["name"]] = place
        return places

    async def _newest(self, name: str) -> Json | None:
        """Read a Secret until no change was heard meanwhile: from then on `secret_changed` tells."""
        while True:
            heard = self._heard
            secret = await self._secret(name)
            if heard == self._heard:
                return secret

    async def _place(self, volume: Json) -> Path:
        """Return where a volume is: with the pod, or, for a claim, where it stays when the pod goes."""
        claim = claim_name(volume)
        if claim is None:
            within: Path = self._folder / "volumes"
            return within / str(volume["name"])
        try:
            await self._node.api.get(f"/api/v1/namespaces/{self.namespace}/persistentvolumeclaims/{claim}")
        except (ApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unresolvable(f'persistentvolumeclaim "{claim}": {error}') from error
        return self._node.run_dir / "claims" / f"{self.namespace}_{claim}"

    # ------------------------------------------------------------------ what the API server hears

    async def _keep_reporting(self) -> None:
        """Write the status after each change, once for many changes at a time, and only when it differs."""
        written: Json = self._pod.get("status") or {}
        while True:
            self._changed.clear()
            wanted = status.build(
                written,
                [one.view for one in self._containers],
                pod_ip=self.address,
                started_utc=self._started_utc,
                now_utc=rfc3339(utc_now()),
            )
            if any(written.get(field) != value for field, value in wanted.items()):
                await self._insist(partial(self._write_status, wanted))
                written = wanted
            await self._changed.wait()

    async def _write_status(self, wanted: Json) -> None:
        body = {"metadata": {"uid": self._pod["metadata"]["uid"]}, "status": wanted}
        await self._node.api.merge_patch(f"{self._path}/status", body)

    async def _confirm_deletion(self) -> None:
        """Let the object go, now that nothing of it runs here."""
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._pod["metadata"]["uid"]}}
        await self._insist(lambda: self._node.api.delete(self._path, options))

    async def _insist(self, call: Callable[[], Awaitable[object]]) -> ApiError | None:
        """Make a call until the API server answers it; returns the refusal when it is final."""
        retry_s = FIRST_RETRY_S
        while True:
            try:
                await call()
            except ApiError as error:
                if error.status in {NOT_FOUND, CONFLICT}:
                    return error
                log.info("pod %s/%s: %s; again in %g s", self.namespace, self.name, error, retry_s)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                log.info("pod %s/%s: %r; again in %g s", self.namespace, self.name, error, retry_s)
            else:
                return None
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, LONGEST_RETRY_S)

    # ------------------------------------------------------------------ the end

    def _grace_s(self) -> float:
        wanted = self._pod["metadata"].get("deletionGracePeriodSeconds")
        return min(DEFAULT_GRACE_S if wanted is None else float(wanted), LONGEST_GRACE_S)

    async def _stop_containers(self, grace_s: float) -> None:
        await asyncio.gather(*(one.stop(grace_s) for one in self._containers))

    def _clean_up(self) -> None:
        self._node.pool.give_back(self.address)
        self.address = ""
        shutil.rmtree(self._folder, ignore_errors=True)


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
