"""Two installations with the chart's rules (the whole cluster; one namespace), and who else could ask.

Service accounts are as the API server knows them: impersonated by the admin, so no token is made.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from cliproxy_dev import rbac
from cliproxy_dev.kube import ApiError, Json, KubeApi

HOME: Final = "cliproxy-system"
TEAM_HOME: Final = "cliproxy-team"
TEAM: Final = "team-a"
OTHER: Final = "team-b"
NAMESPACES: Final = (HOME, TEAM_HOME, TEAM, OTHER)


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who asks the API server."""

    title: str
    user: str
    groups: tuple[str, ...]

    @property
    def impersonation(self) -> list[str]:
        """The words that make kubectl ask as this account."""
        return [f"--as={self.user}", *(f"--as-group={group}" for group in self.groups)]


def service_account(title: str, namespace: str, name: str) -> Account:
    """Return a service account with the groups that its token would give it."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return Account(title, f"system:serviceaccount:{namespace}:{name}", groups)


OPERATOR: Final = service_account("operator", HOME, "cliproxy-operator")
TEAM_OPERATOR: Final = service_account("operator of `team-a` alone", TEAM_HOME, "cliproxy-operator")
APPLICATION: Final = service_account("`team-a`'s pods", TEAM, "default")
STRANGER: Final = service_account("`team-b`'s pods", OTHER, "default")
SIDECAR: Final = Account("sidecar: no token", "system:anonymous", ("system:unauthenticated",))
ACCOUNTS: Final = (OPERATOR, TEAM_OPERATOR, SIDECAR, APPLICATION, STRANGER)


@asynccontextmanager
async def installed(api: KubeApi) -> AsyncIterator[None]:
    """The namespaces, and both installations' accounts and rights, are there; they go in the end."""
    documents: list[Json] = [
        *rbac.installation("llm", HOME, "cliproxy-operator"),
        *rbac.installation("llm-team", TEAM_HOME, "cliproxy-operator", watch=(TEAM,)),
    ]
    made: list[str] = []
    try:
        for name in NAMESPACES:
            with _there_already():
                await api.create("/api/v1/namespaces", {"metadata": {"name": name}})
                made.append(f"/api/v1/namespaces/{name}")
        for document in documents:
            path = rbac.collection_of(document)
            with _there_already():
                await api.create(path, document)
                made.append(f"{path}/{document['metadata']['name']}")
        yield
    finally:
        for path in reversed(made):
            with suppress(ApiError):
                await api.delete(path)
                if path.rpartition("/")[0] == "/api/v1/namespaces":
                    await _finalize(api, path)


async def _finalize(api: KubeApi, path: str) -> None:
    """Do what the namespace controller would: there is none beside a bare API server."""
    body = await api.get(path)
    body["spec"]["finalizers"] = []
    await api.replace(f"{path}/finalize", body)


@contextmanager
def _there_already() -> Iterator[None]:
    """Pass over what somebody else has made before."""
    try:
        yield
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
