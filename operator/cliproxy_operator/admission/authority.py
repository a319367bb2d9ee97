"""Makes and renews the webhooks' certificate, and tells the API server whom to trust. Runs on the leader.

An authority of its own, apart from the control channel's: whoever holds it can pose as the webhook, and as
nothing else. Decides nothing: `pki_plan.py` says what is due, `x509.py` makes it, `bundles.py` says what the
configurations lack. Every replica serves what it finds in the Secret (`serving.py`).
"""

import asyncio
import base64
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from cliproxy_api.channel import AUTHORITIES_FILE, CERTIFICATE_FILE, KEY_FILE
from cliproxy_operator import keyring as keyrings
from cliproxy_operator import x509
from cliproxy_operator.admission.bundles import bundle_patch
from cliproxy_operator.clock import Clock
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.keyring import Keyring
from cliproxy_operator.kinds import SECRET, WEBHOOK_CONFIGURATIONS
from cliproxy_operator.kube import ApiError, Kube
from cliproxy_operator.pki_plan import Timing, plan_authorities, plan_leaf
from cliproxy_operator.settings_webhooks import WebhookSettings
from cliproxy_operator.x509 import Pair

log = logging.getLogger(__name__)

FIELD_MANAGER: Final = "cliproxy-operator-webhooks"
LIFE: Final = Timing(authority_life=timedelta(days=3650), leaf_life=timedelta(days=90))
LOOK_S: Final = 60.0
"""Between looks while leading: what somebody did to Secret or configuration is put right then."""
STANDBY_S: Final = 1.0
RETRY_S: Final = 2.0


class Authority:
    """The webhooks' certificate, from making to trust."""

    def __init__(
        self,
        *,
        kube: Kube,
        settings: WebhookSettings,
        namespace: str,
        clock: Clock,
        may_write: Callable[[], bool],
    ) -> None:
        """`namespace` is where the Secrets stand."""
        self._kube = kube
        self._settings = settings
        self._home = namespace
        self._clock = clock
        self._may_write = may_write

    async def run(self) -> None:
        """Keep everything as it should be while leading, until cancelled."""
        while True:
            pause_s = STANDBY_S
            if self._may_write():
                try:
                    await self._look()
                    pause_s = LOOK_S
                except ApiError as error:
                    log.warning("webhook certificate not kept", extra={"reason": str(error)})
                    pause_s = RETRY_S
            await asyncio.sleep(pause_s * (0.9 + 0.2 * self._clock.chance.random()))

    async def _look(self) -> None:
        """Bring authority, certificate and bundles up to date, in this order: trust comes before use.

        Raises:
            ApiError: not all of it; look again.

        """
        keyring = await self._authority()
        for resource in WEBHOOK_CONFIGURATIONS:
            raw = await self._kube.get(resource, None, self._settings.configuration)
            if raw is None:
                log.info("no webhook configuration", extra={"kind": resource.kind})
                continue
            if patch := bundle_patch(raw, keyring.bundle()):
                await self._kube.patch_json(resource, None, self._settings.configuration, patch)
                log.info("webhook bundle written", extra={"kind": resource.kind})
        await self._leaf(keyring)

    async def _authority(self) -> Keyring:
        raw = await self._kube.get(SECRET, self._home, self._settings.authority_secret)
        held, now = keyrings.read(raw), self._clock.utc()
        step = plan_authorities(held.facts(), LIFE, now)
        wanted = keyrings.advance(held, step, LIFE, now)
        if step.changes:
            await self._write(self._settings.authority_secret, "Opaque", keyrings.data_of(wanted), raw)
            log.info("webhook authority written")
        return wanted

    async def _leaf(self, keyring: Keyring) -> None:
        signing, now = keyring.signing, self._clock.utc()
        if signing is None:
            return
        raw = await self._kube.get(SECRET, self._home, self._settings.secret)
        data = (raw or {}).get("data") or {}
        held = {name: keyrings.text(data, name) for name in (CERTIFICATE_FILE, KEY_FILE, AUTHORITIES_FILE)}
        pair = Pair(held[CERTIFICATE_FILE], Hidden(held[KEY_FILE]))
        name = self._settings.name
        step = plan_leaf(
            x509.read_leaf(pair, held[AUTHORITIES_FILE]),
            name=name,
            signing=x509.key_id(signing.certificate),
            trusted=x509.key_ids(keyring.bundle()),
            now=now,
        )
        if not step.issue and not step.bundle:
            return
        if step.issue:
            pair = x509.issue(signing, name=name, purpose="server", ends=now + LIFE.leaf_life, now=now)
        texts = {
            CERTIFICATE_FILE: pair.certificate,
            KEY_FILE: pair.key.reveal(),
            AUTHORITIES_FILE: keyring.bundle(),
        }
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in texts.items()}
        await self._write(self._settings.secret, "kubernetes.io/tls", encoded, raw)
        log.info("webhook certificate written", extra={"why": step.why})

    async def _write(self, name: str, type_: str, data: Mapping[str, str], before: Any) -> None:
        """Write a Secret, if it still is what the decision was made from."""
        metadata: dict[str, Any] = {"labels": {"app.kubernetes.io/managed-by": "cliproxy-operator"}}
        if before is not None:
            metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
        body = {"metadata": metadata, "type": type_, "data": dict(data)}
        await self._kube.apply(SECRET, self._home, name, body, manager=FIELD_MANAGER)
