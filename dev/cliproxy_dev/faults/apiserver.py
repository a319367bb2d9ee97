"""The API server away, and its data moved on or back meanwhile."""

import asyncio
import signal
from pathlib import Path
from typing import Final

from cliproxy_dev.clock import now_s
from cliproxy_dev.controlplane import outage
from cliproxy_dev.demo.launch import restart_operator
from cliproxy_dev.demo.layout import NAMESPACE, OPERATOR_NAMESPACE
from cliproxy_dev.faults.field import PROVIDERS, Field, until
from cliproxy_dev.faults.objects import SECRET
from cliproxy_dev.faults.run import KNOWN_S, Run, meanwhile

LEASE: Final = f"/apis/coordination.k8s.io/v1/namespaces/{OPERATOR_NAMESPACE}/leases/cliproxy-operator"
AWAY_S: Final = 60.0
RESTORED_S: Final = 60.0


async def away(field: Field, run: Run, number: int) -> None:
    """No API server for a minute, gone or silent: sidecars serve, and hear of each other's refusals."""
    silent = number % 2 == 1
    field.note("it hung (SIGSTOP)" if silent else "it was gone (SIGKILL)")
    async with meanwhile(field, AWAY_S):
        if silent:
            field.world.plane.signal_apiserver(signal.SIGSTOP)
        else:
            await field.world.plane.stop_apiserver(kill=True)
        await asyncio.sleep(2.0)
        short = await field.refuse(10)  # ends while the API server is away
        run.cooled(short)
        await run.agree(short, status=False)
        await asyncio.sleep(max(0.0, short.until_s + 6.0 - now_s()))
        long = await field.refuse(AWAY_S)  # ends when it is back
        run.cooled(long)
        await run.agree(long, status=False)
    if silent:
        field.world.plane.signal_apiserver(signal.SIGCONT)
    else:
        await field.world.plane.start_apiserver()
    await run.known(long, within_s=15)
    await run.agree(long)


async def forward(field: Field, run: Run, number: int) -> None:
    """The operator's API server is away for a minute, another one takes changes, history is compacted."""
    plane = field.world.plane
    made = f"made-{number}"
    async with outage.another_apiserver(plane) as elsewhere, meanwhile(field, AWAY_S):
        await plane.stop_apiserver(kill=True)
        met = await field.refuse(AWAY_S + 25)
        run.cooled(met)
        vllm = await elsewhere.get(f"{PROVIDERS}/vllm")
        body = {key: vllm[key] for key in ("apiVersion", "kind", "spec")}
        await elsewhere.delete(f"{PROVIDERS}/vllm")
        await elsewhere.create(PROVIDERS, body | {"metadata": {"name": made, "namespace": NAMESPACE}})
        await elsewhere.merge_patch(
            f"{PROVIDERS}/openai", {"spec": {"weight": field.chance.randrange(1, 1000)}}
        )
        await elsewhere.merge_patch(SECRET, {"stringData": {"unused": f"{field.chance.random()}"}})
        await outage.compact(plane)
        await run.agree(met, status=False)
    await plane.start_apiserver()
    await run.known(met, within_s=15)
    await run.agree(met)
    await run.note_stuck(
        lambda: _runs(field, {made}, {"vllm"}), "what was changed meanwhile is in force", within_s=20
    )
    await field.world.kube.delete(f"{PROVIDERS}/{made}")
    await field.world.kube.create(PROVIDERS, body | {"metadata": {"name": "vllm", "namespace": NAMESPACE}})


async def restored(field: Field, run: Run, number: int) -> None:
    """The data go back to a backup: objects, Secrets, the Lease and its epoch, version numbers."""
    plane = field.world.plane
    backup: Path = field.world.run_dir / f"etcd-backup-{number}"
    await outage.back_up(plane, backup)
    lease = await _lease_version(field)
    vllm = await field.world.provider("vllm")
    body = {key: vllm[key] for key in ("apiVersion", "kind", "spec")}
    late = f"late-{number}"
    for _ in range(3):
        await field.change()
    await field.world.kube.create(PROVIDERS, body | {"metadata": {"name": late, "namespace": NAMESPACE}})
    await field.world.kube.delete(f"{PROVIDERS}/vllm")
    await run.note_stuck(
        lambda: _runs(field, {late}, {"vllm"}), "the changes before the restore", within_s=20
    )
    if number % 2 == 0:
        await restart_operator(field.world)  # a new epoch, which the backup does not know
        await field.operator_back()
        field.note("another leader had come since the backup")
    else:
        field.note("the same leader since the backup")
    met = await field.refuse(RESTORED_S)
    run.cooled(met)
    await run.known(met, within_s=KNOWN_S)
    if number // 2 % 2 == 0:
        field.note("the Lease was renewed since the backup")
        await until(lambda: _renewed(field, lease), "the Lease is renewed", within_s=KNOWN_S)
    await outage.restore(plane, backup)
    field.tell.progress(f"restored; the backup is {now_s() - run.began_s:.0f} s old")
    await run.note_stuck(
        lambda: _runs(field, {"vllm"}, {late}), "the restored objects are in force", within_s=40
    )
    await run.known(met, within_s=20)
    await run.agree(met)


async def _lease_version(field: Field) -> str:
    lease = await field.world.kube.get(LEASE)
    return str(lease["metadata"]["resourceVersion"])


async def _renewed(field: Field, version: str) -> bool:
    return await _lease_version(field) != version


async def _runs(field: Field, there: set[str], not_there: set[str]) -> bool:
    running = [set((await field.generations(pod)) or {}) for pod in field.pods]
    return all(there <= names and not names & not_there for names in running)
