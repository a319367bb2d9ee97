"""Who leads: reads and writes the Lease as `election.py` decides, and answers before each write and push.

    STANDBY --lease acquired--> LEADING --API server unreachable past the deadline--> ADRIFT
       ^                           |  ^------- the lease is still ours: same epoch --------|
       +---- another holds it, or a sidecar has been pushed by a newer epoch --------------+

Why ADRIFT: with the API server away no one can lead, yet cooldowns must go on being shared. So a leader that
cannot renew stops writing to the API server, but keeps its links under its old epoch. That is safe: whoever
takes the lease has a higher epoch, and sidecars refuse the lower one, upon which the old leader stands by.
"""

import asyncio
import logging
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from cliproxy_operator import election, lease
from cliproxy_operator.clock import Clock
from cliproxy_operator.kinds import LEASE
from cliproxy_operator.kube import ApiError, Kube
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.settings import Settings
from cliproxy_operator.tasks import happens

log = logging.getLogger(__name__)

CONFLICT: Final = 409
NOT_FOUND: Final = 404
MAX_EPOCH_STEP: Final = 1_000_000
"""A sidecar that claims an epoch further ahead than this is mistaken, not pushed by another leader."""
RELEASE_TIMEOUT_S: Final = 0.5
AWAY_S: Final = 5.0
"""So long without an answer, the API server may have come back with other data."""
MIN_PAUSE_S: Final = 0.05
"""Between two steps: a sidecar that cries wolf must not make the loop spin."""


class Standing(StrEnum):
    """What this replica is."""

    UNKNOWN = "unknown"
    """The lease has not been read yet."""
    STANDBY = "standby"
    LEADING = "leading"
    ADRIFT = "adrift"


class Leader:
    """This replica's part in the election."""

    def __init__(
        self,
        *,
        kube: Kube,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
        listener: Callable[[Standing, int], None],
        went_back: Callable[[], None] = lambda: None,
    ) -> None:
        """`listener` is told each new standing and the epoch that goes with it.

        `went_back` is called when the Lease is older than before, or gone: the API server's data were
        restored from a backup. Every replica looks at it all the time, so it is where that shows first. And
        when the API server was away for long: a backup may be younger than the Lease's last renewal.
        """
        self._kube = kube
        self._clock = clock
        self._metrics = metrics
        self._listener = listener
        self._went_back = went_back
        self._me = settings.pod_name
        self._namespace = settings.pod_namespace
        self._name = settings.lease_name
        self._timing = election.Timing(
            lease_s=settings.lease_duration_s,
            renew_s=settings.lease_renew_s,
            retry_s=settings.lease_retry_s,
        )
        self._observed: election.Observed | None = None
        self._leading: election.Leading | None = None
        self._adrift: election.Leading | None = None
        self._standing = Standing.UNKNOWN
        self._told: tuple[Standing, int] | None = None
        self._reached_s: float | None = None
        self._guess = 1
        self._guessed_from = 0
        self._wake = asyncio.Event()
        self.problem = "the lease has not been read yet"
        """Why the lease cannot be read or written; empty: it can."""

    @property
    def standing(self) -> Standing:
        """What this replica is now."""
        return self._standing

    def may_write(self) -> bool:
        """Whether this replica may write to the API server at this instant."""
        return election.leads(self._leading, self._timing, self._clock.now())

    def look(self) -> None:
        """Look at the Lease now: somebody says that it is free."""
        self._wake.set()

    def outrun(self, epoch: int) -> None:
        """A sidecar has been pushed under this epoch, which is later than ours."""
        if self._observed is None or epoch - self._observed.highest > MAX_EPOCH_STEP:
            return
        self._observed = election.heard_epoch(self._observed, epoch)
        if self._adrift is not None and epoch > self._adrift.epoch:
            self._adrift = None
            self._stand(Standing.STANDBY, 0)
        self._wake.set()

    def deposed(self, epoch: int) -> None:
        """A sidecar refuses this epoch without naming a later one.

        Of interest only if it is the present one: links of an earlier one may be refused because of this very
        replica, and to go on from there would chase its own tail.

        Adrift, that is another leader. Leading, the Lease was deleted and counts anew (a real successor would
        be in it): guess upwards, in growing steps, until sidecars accept.
        """
        current = self._leading or self._adrift
        if current is None or epoch != current.epoch or epoch == self._guessed_from:
            return
        self._guessed_from = epoch  # hundreds of links are refused at once
        self._guess = min(self._guess * 2, MAX_EPOCH_STEP)
        self.outrun(current.epoch + self._guess)

    async def run(self) -> None:
        """Take part in the election until cancelled."""
        while True:
            self._wake.clear()
            began_s = self._clock.now()
            try:
                async with asyncio.timeout(self._timing.renew_s / 2):
                    pause_s = await self._step()
                self.problem = ""
                self._reached()
            except (ApiError, TimeoutError) as error:
                pause_s = self._timing.retry_s / 2
                self.problem = f"Lease {self._namespace}/{self._name}: {error or 'no answer in time'}"
                self._check_deadline()
            if await happens(self._wake, pause_s):
                await asyncio.sleep(max(0.0, began_s + MIN_PAUSE_S - self._clock.now()))

    def _reached(self) -> None:
        """Note that the API server answers."""
        now = self._clock.now()
        before_s, self._reached_s = self._reached_s, now
        if before_s is not None and now - before_s > AWAY_S:
            log.warning("the API server was away: everything is read anew")
            self._went_back()

    async def release(self) -> None:
        """Give the lease back, so that another need not wait for it to expire; only after `run` has ended."""
        leading, observed = self._leading, self._observed
        self._leading = self._adrift = None
        if leading is None or observed is None or observed.record is None:
            return
        try:
            async with asyncio.timeout(RELEASE_TIMEOUT_S):
                await self._give_back(observed.record)
        except (ApiError, TimeoutError) as error:
            log.info("the lease was not given back; it will expire", extra={"reason": str(error)})

    async def _give_back(self, record: election.Record) -> None:
        try:
            await self._write(election.released(record))
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            await self._look()  # a renewal that was cut off may have arrived
            newest = self._observed.record if self._observed is not None else None
            if newest is not None and newest.holder == self._me:
                await self._write(election.released(newest))

    async def _step(self) -> float:
        """Look, decide, act once; return how long to wait."""
        if self._leading is None or self._observed is None:
            await self._look()
        if self._observed is None:
            return self._timing.retry_s
        step = self._resume() or election.decide(
            self._observed, self._leading, me=self._me, timing=self._timing, now=self._clock.now()
        )
        match step:
            case election.Acquire() | election.Renew():
                return await self._take(step)
            case election.Wait(until=until):
                if self._leading is None:
                    self._adrift = None
                    self._stand(Standing.STANDBY, 0)
                return max(0.0, until - self._clock.now())
            case election.Demote(why=why):
                self._demote(why)
                return 0.0

    def _resume(self) -> election.Renew | None:
        """While adrift: if the lease is as we left it, nobody else has led, and we go on as before."""
        observed, adrift = self._observed, self._adrift
        if adrift is None or observed is None or observed.record is None:
            return None
        record = observed.record
        same = record.holder == self._me and record.transitions == adrift.epoch >= observed.highest
        return election.Renew(transitions=adrift.epoch) if same else None

    async def _look(self) -> None:
        raw = await self._kube.get(LEASE, self._namespace, self._name)
        record = lease.record(raw) if raw is not None else None
        if election.went_back(self._observed, record):
            log.warning("the Lease is older than before or gone: everything is read anew")
            self._went_back()
        self._observed = election.observe(self._observed, record, self._clock.now())

    async def _take(self, step: election.Acquire | election.Renew) -> float:
        """Write the lease; a conflict means that what we knew is old."""
        sent_at_s = self._clock.now()
        old = self._observed.record if self._observed is not None else None
        record = election.Record(
            holder=self._me,
            transitions=step.transitions,
            lease_s=self._timing.lease_s,
            version=old.version if old is not None else "",
        )
        try:
            await self._write(record, create=isinstance(step, election.Acquire) and step.create)
        except ApiError as error:
            if error.status not in (CONFLICT, NOT_FOUND):
                raise
            await self._look()
            return 0.0 if self._leading is not None else self._timing.retry_s / 4
        self._leading = election.acquired(step, sent_at=sent_at_s)
        self._adrift = None
        self._stand(Standing.LEADING, self._leading.epoch)
        return self._timing.renewal_s

    async def _write(self, record: election.Record, *, create: bool = False) -> None:
        body = lease.body(record, self._namespace, self._name, self._clock.utc())
        if create:
            raw = await self._kube.create(LEASE, self._namespace, body)
        else:
            raw = await self._kube.replace(LEASE, self._namespace, self._name, body)
        self._observed = election.observe(self._observed, lease.record(raw), self._clock.now())

    def _check_deadline(self) -> None:
        if self._leading is not None and not self.may_write():
            self._demote("the lease could not be renewed in time")

    def _demote(self, why: str) -> None:
        """Stop leading; adrift if all we know is that the API server does not answer."""
        leading, self._leading = self._leading, None
        record = self._observed.record if self._observed is not None else None
        ours = record is not None and leading is not None and record.holder == self._me
        log.warning("no longer leading", extra={"reason": why})
        if ours and leading is not None and self._observed is not None:
            self._adrift = leading
            self._stand(Standing.ADRIFT, leading.epoch)
        else:
            self._stand(Standing.STANDBY, 0)

    def _stand(self, standing: Standing, epoch: int) -> None:
        self._metrics.leader.set(1 if standing is Standing.LEADING else 0)
        self._metrics.epoch.set(epoch)
        if self._told == (standing, epoch):
            return
        self._standing = standing
        log.info("standing", extra={"standing": standing.value, "epoch": epoch})
        self._listener(standing, epoch)
        self._told = (standing, epoch)  # only now: who could not act on it is told again
