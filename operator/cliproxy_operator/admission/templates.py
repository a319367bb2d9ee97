"""The template of injected sidecars now: the settings, and whether the API server knows native ones.

Asked once, and again now and then, since clusters are upgraded under us. Until it has answered, sidecars are
plain containers: those run everywhere.
"""

import asyncio
import logging
from typing import Final

from cliproxy_operator.inject.template import Template
from cliproxy_operator.kube import ApiError, Kube
from cliproxy_operator.settings import Settings
from cliproxy_operator.settings_webhooks import Native, WebhookSettings

log = logging.getLogger(__name__)

NATIVE_SINCE: Final = (1, 29)
"""On by default from here on. Source: kubernetes.io, "Sidecar Containers" (read 2026-11-21)."""
ASK_AGAIN_S: Final = 600.0
RETRY_S: Final = 2.0


class Templates:
    """Holds the newest template."""

    def __init__(self, *, kube: Kube, settings: WebhookSettings, operator: Settings) -> None:
        self._kube = kube
        self._settings = settings
        self._operator = operator
        self.current = self._template(native=settings.native is Native.ALWAYS)

    async def run(self) -> None:
        """Follow the API server's version, until cancelled."""
        while self._settings.native is Native.AUTO:
            try:
                version = await self._kube.server_version()
            except ApiError as error:
                log.info("the API server does not tell its version", extra={"reason": str(error)})
                await asyncio.sleep(RETRY_S)
                continue
            made = self._template(native=version >= NATIVE_SINCE)
            if made != self.current:
                log.info("sidecars are native now", extra={"native": made.native, "server": version})
                self.current = made
            await asyncio.sleep(ASK_AGAIN_S)
        await asyncio.Event().wait()

    def _template(self, *, native: bool) -> Template:
        return self._settings.template(
            native=native,
            control_port=self._operator.control_port,
            control_token=self._operator.control_token is not None,
        )
