"""Every Secret that matters: who could read it by RBAC, tried one by one, and who does read it, and why."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import aiohttp

from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import ApiError, KubeApi
from cliproxy_dev.rights.accounts import ACCOUNTS, HOME, TEAM, Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One Secret."""

    name: str
    namespace: str
    shown: str
    holds: str
    readers: str
    """Who does read it, and why."""


SECRETS: Final = (
    Kept(
        name="cliproxy-ca",
        namespace=HOME,
        shown="`cliproxy-ca`, operator's namespace",
        holds="the control channel's authority with its key",
        readers="the leading operator: it signs the sidecars' certificates and its own",
    ),
    Kept(
        name="cliproxy-webhook-ca",
        namespace=HOME,
        shown="`cliproxy-webhook-ca`, operator's namespace",
        holds="the webhooks' authority with its key",
        readers="the leading operator: it signs the webhooks' certificate",
    ),
    Kept(
        name="cliproxy-webhook-tls",
        namespace=HOME,
        shown="`cliproxy-webhook-tls`, operator's namespace",
        holds="the webhooks' certificate and key",
        readers="every operator replica: it serves the webhooks",
    ),
    Kept(
        name="cliproxy-sidecar-tls",
        namespace=TEAM,
        shown="`cliproxy-sidecar-tls`, each namespace served",
        holds="the certificate and key of the namespace's sidecars",
        readers="the namespace's sidecar containers, as a mounted file; the leading operator, to renew it",
    ),
    Kept(
        name="cliproxy-snapshot-plain",
        namespace=TEAM,
        shown="`cliproxy-snapshot-PROFILE`, each namespace served",
        holds="a profile's last configuration, provider keys included",
        readers="the namespace's sidecar containers, as a mounted file, when they start;"
        " the operator writes it and reads its metadata alone",
    ),
    Kept(
        name="provider-keys",
        namespace=TEAM,
        shown="yours: named by LLMProviders (`secretRef`)",
        holds="provider keys",
        readers="every operator replica: they are part of what sidecars run",
    ),
    Kept(
        name="consumer-keys",
        namespace=TEAM,
        shown="yours: named by ProxyProfiles (`keySecretRef`)",
        holds="callers' keys",
        readers="every operator replica: sidecars get digests of them, not the keys",
    ),
    Kept(
        name="channels",
        namespace=TEAM,
        shown="yours: named by AlertRules",
        holds="what Slack, PagerDuty, SMTP and webhooks want",
        readers="every operator replica; the leading one sends with them",
    ),
    Kept(
        name="unrelated",
        namespace=TEAM,
        shown="any other in a namespace served",
        holds="what nobody of ours names",
        readers="nobody; the operator's watch brings it, and it is dropped at once",
    ),
    Kept(
        name="unrelated",
        namespace=HOME,
        shown="any other in the operator's namespace",
        holds="the same",
        readers="nobody, as above; not even brought to an operator of other namespaces alone",
    ),
)


async def tried(plane: ControlPlane, kept: Kept, account: Account) -> bool:
    """Make the Secret if it is not there, read it as the account; return whether that was allowed."""
    path = f"/api/v1/namespaces/{kept.namespace}/secrets"
    async with plane.api() as admin:
        try:
            await admin.create(path, {"metadata": {"name": kept.name}, "stringData": {"key": "planted"}})
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
    endpoint = plane.endpoint_of()
    headers = [("Authorization", f"Bearer {endpoint.token}"), ("Impersonate-User", account.user)]
    headers += [("Impersonate-Group", group) for group in account.groups]
    async with aiohttp.ClientSession() as session:
        url = f"{plane.server}{path}/{kept.name}"
        async with session.get(url, headers=headers, ssl=endpoint.ssl_context()) as answer:
            if answer.status not in (200, 403):
                raise RuntimeError(f"{account.user} reads {kept.name}: {answer.status}")
            return answer.status == 200  # noqa: PLR2004 -- HTTP's OK


async def table(plane: ControlPlane) -> str:
    """Return the Markdown table; each account has tried each Secret."""
    head = ["Secret", "holds", *(f"{account.title}" for account in ACCOUNTS), "reads it in fact, and why"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for kept in SECRETS:
        may = [("may" if await tried(plane, kept, account) else "no") for account in ACCOUNTS]
        lines.append(f"| {' | '.join([kept.shown, kept.holds, *may, kept.readers])} |")
    return "\n".join(lines)


async def clean(api: KubeApi) -> None:
    """Remove the Secrets that `tried` made."""
    for kept in SECRETS:
        with suppress(ApiError):
            await api.delete(f"/api/v1/namespaces/{kept.namespace}/secrets/{kept.name}")
