"""An object as the API server gives it -> a typed resource, or what is wrong with it; never an exception.

Defaults are applied here too, since an old server or a plain file does not. Unknown fields are ignored, as
the API server prunes them. Rules across fields are `cliproxy_api.rules`' and are not judged here.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from cliproxy_api.resources.alertrule import AlertRule
from cliproxy_api.resources.common import ObjectMeta
from cliproxy_api.resources.cooldownpolicy import CooldownPolicy
from cliproxy_api.resources.explain import Problem, problems
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.proxyprofile import ProxyProfile
from cliproxy_api.resources.shape import shape_of

Resource: TypeAlias = LLMProvider | CooldownPolicy | AlertRule | ProxyProfile
R = TypeVar("R", LLMProvider, CooldownPolicy, AlertRule, ProxyProfile)
N = TypeVar("N", bound=Resource)

PLURALS: Final = {
    "LLMProvider": "llmproviders",
    "CooldownPolicy": "cooldownpolicies",
    "AlertRule": "alertrules",
    "ProxyProfile": "proxyprofiles",
}
"""Kind -> the name in URLs and RBAC."""
TYPES: Final[dict[str, type[Resource]]] = {
    "LLMProvider": LLMProvider,
    "CooldownPolicy": CooldownPolicy,
    "AlertRule": AlertRule,
    "ProxyProfile": ProxyProfile,
}
MAX_DEPTH: Final = 64
"""Far deeper than any of our fields; deeper input is refused rather than recursed into."""


class ParseFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an object cannot be used: the user's fault, reported in condition Accepted."""

    metadata: ObjectMeta
    """As far as it could be read; the name may be empty."""
    problems: tuple[Problem, ...]
    """At least one; in the order of the fields."""

    @property
    def path(self) -> str:
        """The first field at fault, such as `spec.models[0].name`."""
        return self.problems[0].path

    @property
    def message(self) -> str:
        """What is wrong with that field and what to do, to be read after the path."""
        return self.problems[0].message


def parse(kind: str, body: Mapping[str, Any]) -> Resource | ParseFailure:
    """Read an object of one of our kinds.

    Raises:
        KeyError: not one of our kinds; a bug of the caller.

    """
    result: Resource | ParseFailure = _parse(TYPES[kind], body)
    return result


def parse_as(type_: type[R], body: Mapping[str, Any]) -> R | ParseFailure:
    """Read an object of a known kind, with the type to match."""
    result: R | ParseFailure = _parse(type_, body)
    return result


def parse_again(before: N, body: Mapping[str, Any]) -> N | ParseFailure:
    """Read a newer version of an object whose `spec` is as it was: that part is kept, the same value.

    Most versions differ in status only, and reading spec is most of the work.
    """
    metadata = _part(ObjectMeta, body, "metadata")
    if metadata is None or not metadata.name:
        result: N | ParseFailure = _parse(type(before), body)
        return result
    status_type: type[msgspec.Struct] = type(before).__annotations__["status"]
    status = _part(status_type, body, "status") or status_type()
    newer: N = msgspec.structs.replace(before, metadata=metadata, status=status)
    return newer


def _parse(type_: type[Any], body: Mapping[str, Any]) -> Any:
    metadata = _part(ObjectMeta, body, "metadata") or ObjectMeta(name="")
    try:
        spec = _plain(_spec(body), 0)
    except _TooDeepError:
        return _failure(metadata, Problem("spec", f"is nested more than {MAX_DEPTH} levels deep"))
    except UnicodeEncodeError:
        return _failure(metadata, Problem("spec", "holds half of a UTF-16 surrogate pair, which is no text"))
    spec_type: type[msgspec.Struct] = type_.__annotations__["spec"]
    try:
        typed = msgspec.convert(spec, spec_type)
    except msgspec.ValidationError as error:
        found = tuple(problems(shape_of(spec_type), spec, "spec"))
        return ParseFailure(metadata=metadata, problems=found or (Problem("spec", str(error)),))
    if not metadata.name:
        return _failure(metadata, Problem("metadata.name", "is required"))
    status_type: type[msgspec.Struct] = type_.__annotations__["status"]
    # A status we cannot read (written by another version) is as good as none: it is ours to write anew.
    return type_(metadata=metadata, spec=typed, status=_part(status_type, body, "status") or status_type())


S = TypeVar("S", bound=msgspec.Struct)


def _part(type_: type[S], body: Mapping[str, Any], name: str) -> S | None:
    try:
        return msgspec.convert(_plain(body.get(name, {}), 0), type_)
    except (msgspec.ValidationError, _TooDeepError, AttributeError, UnicodeEncodeError):
        return None


def _spec(body: Any) -> Any:
    if not isinstance(body, Mapping):
        return body
    spec = body.get("spec")
    return {} if spec is None else spec


def _failure(metadata: ObjectMeta, problem: Problem) -> ParseFailure:
    return ParseFailure(metadata=metadata, problems=(problem,))


class _TooDeepError(Exception):
    pass


def _plain(value: Any, depth: int) -> Any:
    """Copy to dicts and lists, without nulls: the API server prunes them where a field is not nullable."""
    if depth > MAX_DEPTH:
        raise _TooDeepError
    if isinstance(value, Mapping):
        return {key: _plain(entry, depth + 1) for key, entry in value.items() if entry is not None}
    if isinstance(value, list | tuple):
        return [_plain(entry, depth + 1) for entry in value]
    if isinstance(value, str) and not value.isascii():
        value.encode()  # raises for a lone surrogate, which JSON readers let in and msgspec trips over
    return value
