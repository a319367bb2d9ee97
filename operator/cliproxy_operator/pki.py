"""Keeps the control channel's certificates: the authority, our own, and one Secret for each namespace.

Runs on the leader. Decides nothing: `pki_plan.py` says what is due, `x509.py` makes it. Nothing is written
while nothing is due; what somebody deleted or changed is put right at the next look.
"""

import asyncio
import base64
import logging
import ssl
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from cliproxy_api.channel import (
    AUTHORITIES_FILE,
    CA_SECRET,
    CERTIFICATE_FILE,
    KEY_FILE,
    OPERATOR_ID,
    SIDECAR_TLS_SECRET,
    sidecar_host,
)
from cliproxy_operator import keyring as keyrings
from cliproxy_operator import pki_words, x509
from cliproxy_operator.clock import Clock
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.identity import IdentityError, client_context
from cliproxy_operator.keyring import Keyring
from cliproxy_operator.kinds import SECRET
from cliproxy_operator.kube import ApiError, Kube
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.pki_plan import Leaf, Timing, plan_authorities, plan_leaf
from cliproxy_operator.settings import Settings
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.workqueue import WorkQueue
from cliproxy_operator.x509 import Pair

log = logging.getLogger(__name__)

FIELD_MANAGER: Final = "cliproxy-operator-pki"
LOOK_AGAIN_S: Final = 300.0
"""Between looks at a Secret that nothing is due for: what somebody did to it is put right then."""
MIN_LOOK_S: Final = 1.0
_AUTHORITY: Final = ""
"""The queue's key for the authority; the others are namespaces."""


@dataclass(frozen=True, slots=True)
class _Own:
    """Our client certificate as it is in use."""

    leaf: Leaf | None
    context: ssl.SSLContext


class Pki:
    """Authority and certificates, idle until `lead`."""

    def __init__(
        self,
        *,
        kube: Kube,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
        tasks: Tasks,
        may_write: Callable[[], bool],
        digest_key: Callable[[bytes], None],
        wanted: Callable[[], Collection[str]],
    ) -> None:
        """`may_write` is asked before each write; `digest_key` is told the key once it is known.

        `wanted` names the namespaces that hold anything of ours; others are forgotten.
        """
        self._kube = kube
        self._home = settings.pod_namespace
        self._timing = Timing(
            authority_life=timedelta(seconds=settings.ca_lifetime_s),
            leaf_life=timedelta(seconds=settings.certificate_lifetime_s),
        )
        self._clock = clock
        self._metrics = metrics
        self._may_write = may_write
        self._digest_key = digest_key
        self._wanted = wanted
        self._keyring: Keyring | None = None
        self._own: _Own | None = None
        self._namespaces: set[str] = set()
        self._active = False
        self._trouble: ApiError | None = None
        self.ready = asyncio.Event()
        """Set while sidecars can be connected to."""
        self.queue: WorkQueue[str] = WorkQueue(
            self._work,
            name="pki",
            clock=clock,
            tasks=tasks,
            on_defect=lambda name: metrics.loop_failures.labels(name).inc(),
        )

    def lead(self) -> None:
        """Begin to keep certificates."""
        self._active = True
        self.queue.add(_AUTHORITY)

    def stand_by(self) -> None:
        """Forget all keys."""
        self._active = False
        self.ready.clear()
        self._keyring = self._own = None
        self._namespaces.clear()

    def want(self, namespace: str) -> None:
        """Keep a certificate for this namespace's sidecars from now on."""
        if self._active and namespace not in self._namespaces and namespace in self._wanted():
            self._namespaces.add(namespace)
            self.queue.add(namespace)

    def want_all(self) -> None:
        """Keep one for every namespace that is served."""
        for namespace in self._wanted():
            self.want(namespace)

    def touched(self, namespace: str, name: str) -> None:
        """Somebody, perhaps we, changed a Secret of this name."""
        if self._active and name == SIDECAR_TLS_SECRET and namespace in self._namespaces:
            self.queue.add(namespace, MIN_LOOK_S)
        elif self._active and (namespace, name) == (self._home, CA_SECRET):
            self.queue.add(_AUTHORITY, MIN_LOOK_S)

    def problem(self) -> str:
        """Say why no sidecar can be connected to, or soon none; empty while nothing keeps us from it.

        An authority that cannot be kept is no harm yet while our own certificate is renewed from memory.
        """
        leaf = self._own.leaf if self._own is not None else None
        fresh = self._own is not None and (leaf is None or self._clock.utc() < leaf.life.renew)
        if not self._active or self._trouble is None or fresh:
            return ""
        return (
            f"control channel: Secret {self._home}/{CA_SECRET} cannot be kept: {self._trouble};"
            f" {pki_words.remedy(self._trouble.status, self._home)}"
        )

    def context(self) -> ssl.SSLContext:
        """Return the context to connect to sidecars with."""
        if self._own is None:
            raise IdentityError("this replica has no client certificate yet")
        return self._own.context

    # ------------------------------------------------------------------ work

    async def _work(self, key: str) -> None:
        if not self._active:
            return
        if key != _AUTHORITY and key not in self._wanted():
            self._namespaces.discard(key)
            return
        if not self._may_write():  # adrift: links live on, so our own certificate must as well
            due_s = self._renew_own(self._keyring) if self._keyring and key == _AUTHORITY else LOOK_AGAIN_S
        elif key == _AUTHORITY:
            try:
                due_s = await self._authority()
                self._trouble = None
            except ApiError as error:
                self._trouble = error
                if self._active and self._keyring is not None:  # what is in memory signs as well as ever
                    self._renew_own(self._keyring)
                raise
        else:
            due_s = await self._leaf(key)
        if self._active:
            self.queue.add(
                key, max(MIN_LOOK_S, min(due_s, LOOK_AGAIN_S * (0.5 + self._clock.chance.random())))
            )

    async def _authority(self) -> float:
        """Bring the authority up to date; returns in how many seconds something is due."""
        raw = await self._kube.get(SECRET, self._home, CA_SECRET)
        held = keyrings.read(raw)
        if raw is not None and held.signing is None:
            reason = pki_words.lost(remembered=self._keyring is not None)
            log.warning("authority cannot be used", extra={"secret": CA_SECRET, "reason": reason})
        if held.signing is None and self._keyring is not None:
            held = self._keyring  # deleted or damaged, but not forgotten
        now = self._clock.utc()
        step = plan_authorities(held.facts(), self._timing, now)
        wanted = keyrings.advance(held, step, self._timing, now)
        data = keyrings.data_of(wanted)
        if data != ((raw or {}).get("data") or {}):
            made = await self._apply(self._home, CA_SECRET, "Opaque", data, raw)
            log.info("authority written", extra={"step": _words(step), "secret": CA_SECRET})
            if left := keyrings.left_over(made.get("data") or {}, data):
                await self._apply(self._home, CA_SECRET, "Opaque", data | left, made)
        if not self._active:
            return 0.0
        if self._keyring is None or wanted.bundle() != self._keyring.bundle():
            self._keyring = wanted
            for namespace in self._namespaces:
                self.queue.add(namespace)
        if wanted.digest_key is not None:
            self._digest_key(wanted.digest_key.reveal().encode())
        own_due_s = self._renew_own(wanted)
        return min(own_due_s, (step.look_again - now).total_seconds())

    def _renew_own(self, keyring: Keyring) -> float:
        """Make our client certificate anew if it is due; returns in how many seconds it is."""
        signing, now = keyring.signing, self._clock.utc()
        if signing is None or x509.life_of(signing.certificate).ends <= now:
            return 0.0
        trusted = x509.key_ids(keyring.bundle())
        leaf = self._own.leaf if self._own is not None else None
        step = plan_leaf(
            leaf, name=OPERATOR_ID, signing=x509.key_id(signing.certificate), trusted=trusted, now=now
        )
        if step.issue or step.bundle:
            pair = x509.issue(
                signing, name=OPERATOR_ID, purpose="client", ends=now + self._timing.leaf_life, now=now
            )
            leaf = x509.read_leaf(pair, keyring.bundle())
            self._own = _Own(leaf, client_context(pair, keyring.bundle()))
            self._metrics.certificates_issued.labels("operator").inc()
            self.ready.set()
        return ((leaf.life.renew if leaf is not None else now) - now).total_seconds()

    async def _leaf(self, namespace: str) -> float:
        """Bring one namespace's certificate up to date; returns in how many seconds something is due."""
        keyring = self._keyring
        if keyring is None or keyring.signing is None:
            return MIN_LOOK_S
        raw = await self._kube.get(SECRET, namespace, SIDECAR_TLS_SECRET)
        data = (raw or {}).get("data") or {}
        texts = {name: keyrings.text(data, name) for name in (CERTIFICATE_FILE, KEY_FILE, AUTHORITIES_FILE)}
        pair = Pair(texts[CERTIFICATE_FILE], Hidden(texts[KEY_FILE]))
        now, host = self._clock.utc(), sidecar_host(namespace)
        step = plan_leaf(
            x509.read_leaf(pair, texts[AUTHORITIES_FILE]),
            name=host,
            signing=x509.key_id(keyring.signing.certificate),
            trusted=x509.key_ids(keyring.bundle()),
            now=now,
        )
        if step.issue:
            ends = now + self._timing.leaf_life
            pair = x509.issue(keyring.signing, name=host, purpose="server", ends=ends, now=now)
            self._metrics.certificates_issued.labels("sidecar").inc()
        if step.issue or step.bundle:
            made = {
                CERTIFICATE_FILE: pair.certificate,
                KEY_FILE: pair.key.reveal(),
                AUTHORITIES_FILE: keyring.bundle(),
            }
            encoded = {name: base64.b64encode(value.encode()).decode() for name, value in made.items()}
            await self._apply(namespace, SIDECAR_TLS_SECRET, "kubernetes.io/tls", encoded, raw)
            log.info("certificate written", extra={"namespace": namespace, "why": step.why})
            return LOOK_AGAIN_S if step.issue else (step.look_again - now).total_seconds()
        return (step.look_again - now).total_seconds()

    async def _apply(
        self, namespace: str, name: str, type_: str, data: dict[str, str], before: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Write a Secret, if it still is what the decision was made from; returns it."""
        metadata: dict[str, Any] = {"labels": {"app.kubernetes.io/managed-by": "cliproxy-operator"}}
        if before is not None:
            metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
        return await self._kube.apply(
            SECRET,
            namespace,
            name,
            {"metadata": metadata, "type": type_, "data": data},
            manager=FIELD_MANAGER,
        )


def _words(step: object) -> str:
    flags = ("found", "announce", "promote", "drop_former")
    return " ".join(flag for flag in flags if getattr(step, flag)) or "restored"
