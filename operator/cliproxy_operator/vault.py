"""The Secrets that providers name: their values, held only as long as a provider needs them.

Everything else that the watch brings is dropped here. Values leave through `values` only, to the publisher;
the compiler gets digests. Fetching what is missing is left to `gather.py`.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from cliproxy_operator.hidden import Hidden
from cliproxy_operator.inputs import SecretView
from cliproxy_operator.store import Object, name_of, version_of

SecretName = tuple[str, str]
"""(namespace, name)."""
MAX_VALUE_BYTES: Final = 16 * 1024
"""A longer value is no API key; it is treated as missing."""


@dataclass(frozen=True, slots=True)
class Held:
    """A needed Secret: its values, or the knowledge that there is none (`values` empty, `view` None)."""

    version: int
    values: Mapping[str, Hidden]
    view: SecretView | None


class Vault:
    """Needed Secrets by name."""

    def __init__(self, listener: Callable[[frozenset[str]], None], *, digest_key: bytes) -> None:
        """`listener` is told the namespaces whose snapshots name a Secret that changed.

        `digest_key` (at most 64 bytes) is the same in every replica and after a restart, so that equal values
        give equal snapshots; and it is secret, so that a digest cannot be checked against guessed values.
        """
        self._listener = listener
        self._needed: dict[SecretName, set[str]] = {}
        self._held: dict[SecretName, Held] = {}
        self._digest_key = digest_key

    def need(self, namespace: str, names: Iterable[SecretName]) -> frozenset[SecretName]:
        """Say what the snapshots of `namespace` need now; returns those that must be fetched."""
        wanted = set(names)
        for name in [
            name for name, users in self._needed.items() if namespace in users and name not in wanted
        ]:
            self._needed[name].discard(namespace)
            if not self._needed[name]:
                del self._needed[name]
                self._held.pop(name, None)
        for name in wanted:
            self._needed.setdefault(name, set()).add(namespace)
        return frozenset(name for name in wanted if name not in self._held)

    def rekey(self, digest_key: bytes) -> None:
        """Take the key that all replicas share; digests made with another one are made anew."""
        digest_key = hashlib.sha256(b"digest:" + digest_key).digest()
        if digest_key == self._digest_key:
            return
        self._digest_key = digest_key
        for name, held in list(self._held.items()):
            if held.view is not None:
                view = SecretView(digests={key: self._digest(name, key, v) for key, v in held.values.items()})
                self._held[name] = Held(held.version, held.values, view)
                self._tell(name, changed=True)

    def rewind(self) -> None:
        """Say that version numbers count anew: the API server's data were restored from a backup."""
        self._held = {name: replace(held, version=-1) for name, held in self._held.items()}

    def needed(self) -> frozenset[SecretName]:
        """Return all names that any namespace needs."""
        return frozenset(self._needed)

    def put(self, raw: Object) -> bool:
        """Take a Secret; dropped unless it is needed and newer. Returns whether anything changed."""
        name = name_of(raw)
        if name not in self._needed:
            return False
        old = self._held.get(name)
        version = version_of(raw)
        if old is not None and version <= old.version:
            return False
        values = _values(raw)
        view = SecretView(digests={key: self._digest(name, key, value) for key, value in values.items()})
        self._held[name] = Held(version, values, view)
        return self._tell(name, changed=old is None or old.view != view)

    def lost(self, name: SecretName, *, version: int) -> bool:
        """Remember that there is no such Secret (as of `version`) until the watch brings one."""
        old = self._held.get(name)
        if name not in self._needed or (old is not None and old.version > version):
            return False
        self._held[name] = Held(version, {}, None)
        return self._tell(name, changed=old is None or old.view is not None)

    def version(self, name: SecretName) -> int:
        """Return the version held, -1 if none is."""
        held = self._held.get(name)
        return held.version if held is not None else -1

    def views(self, names: Iterable[SecretName]) -> dict[SecretName, SecretView | None]:
        """Return what the compiler may know of these; None: known to be missing, left out: not known."""
        return {name: self._held[name].view for name in names if name in self._held}

    def values(self, references: Iterable[str]) -> dict[str, Hidden]:
        """Return values by reference "namespace/name/key"; those that are not there are left out."""
        found = {}
        for reference in references:
            namespace, name, key = reference.split("/", 2)
            held = self._held.get((namespace, name))
            if held is not None and key in held.values:
                found[reference] = held.values[key]
        return found

    def _tell(self, name: SecretName, *, changed: bool) -> bool:
        if changed:
            self._listener(frozenset(self._needed.get(name, ())))
        return changed

    def _digest(self, name: SecretName, key: str, value: Hidden) -> str:
        text = "\0".join((*name, key, value.reveal())).encode()
        return hashlib.blake2b(text, key=self._digest_key, digest_size=8).hexdigest()


def _values(raw: Object) -> dict[str, Hidden]:
    """Return the readable values: UTF-8 texts of sensible length, without the newline that editors leave."""
    values: dict[str, Hidden] = {}
    for key, encoded in (raw.get("data") or {}).items():
        try:
            data = base64.b64decode(encoded or "", validate=True)
            if 0 < len(data) <= MAX_VALUE_BYTES and (text := data.decode("utf-8").strip()):
                values[str(key)] = Hidden(text)
        except (binascii.Error, UnicodeDecodeError, TypeError):
            continue
    return values
