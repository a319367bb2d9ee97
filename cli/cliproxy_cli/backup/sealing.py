"""Seals the inside of a backup: AES-256-GCM under a key from a passphrase (scrypt) or from a key file (HKDF).

The header is authenticated with it, so nobody can pass one backup's inside off as another's. `cryptography`
is imported when a key is used: everything else shall start without it.
"""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from cliproxy_cli.backup.faults import BackupFault

CIPHER: Final = "AES-256-GCM"
SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
SCRYPT: Final[Mapping[str, int]] = {"n": 2**15, "r": 8, "p": 3}
"""32 MiB and about 0.3 s: OWASP's figures for the smallest memory, since CronJobs have little.

Source: OWASP Password Storage Cheat Sheet (read 2026-11-21).
"""
MAX_SCRYPT: Final[Mapping[str, int]] = {"n": 2**20, "r": 16, "p": 16}
"""More in a header is an attack on our memory, not a backup of ours."""
MIN_PASSPHRASE_CHARS: Final = 12
INFO: Final = b"cliproxy-backup-1"
_OPTIONAL: Final = "install the extra: pip install 'cliproxy-operator[cli]'"


class Key(Protocol):
    """Where a file's key comes from."""

    @property
    def kdf(self) -> str:
        """Its name in headers."""
        ...

    def derive(self, parameters: Mapping[str, Any], salt: bytes) -> bytes:
        """Return the 32 bytes for one file."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Passphrase:
    """What a person remembers."""

    text: str
    kdf: str = "scrypt"

    def derive(self, parameters: Mapping[str, Any], salt: bytes) -> bytes:
        """Return the key; slow and memory-hungry on purpose."""
        _, Scrypt, _, _ = _primitives()  # noqa: N806 -- a class
        cost = {name: _bounded(parameters, name) for name in SCRYPT}
        if cost["n"] & (cost["n"] - 1):
            raise BackupFault(f"the header's scrypt n={cost['n']} is no power of two: the file is damaged")
        derived: bytes = Scrypt(salt=salt, length=KEY_BYTES, **cost).derive(self.text.encode())
        return derived


@dataclass(frozen=True, slots=True, repr=False)
class KeyFile:
    """32 random bytes."""

    secret: bytes
    kdf: str = "hkdf-sha256"

    def derive(self, parameters: Mapping[str, Any], salt: bytes) -> bytes:  # noqa: ARG002 -- has none
        """Return this file's key."""
        _, _, HKDF, SHA256 = _primitives()  # noqa: N806 -- classes
        derived: bytes = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=INFO).derive(self.secret)
        return derived


def passphrase(text: str) -> Passphrase:
    """Return a passphrase as read from a file: the line's end does not count.

    Raises:
        BackupFault: too short to be one.

    """
    phrase = text.removesuffix("\n").removesuffix("\r")
    if len(phrase) < MIN_PASSPHRASE_CHARS:
        raise BackupFault(f"the passphrase has fewer than {MIN_PASSPHRASE_CHARS} characters")
    return Passphrase(phrase)


def key_file(content: bytes) -> KeyFile:
    """Return a key as read from a file: 32 bytes in base64 (`openssl rand -base64 32`), or raw.

    Raises:
        BackupFault: it is neither.

    """
    if len(content) == KEY_BYTES:
        return KeyFile(content)
    try:
        secret = base64.b64decode(content.strip(), validate=True)
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise BackupFault("the key file holds no 32 bytes in base64; make one: openssl rand -base64 32")
    return KeyFile(secret)


def parameters_for(key: Key) -> dict[str, Any]:
    """Return the header's `encryption` for a new file: cipher, key derivation, fresh salt and nonce."""
    return {
        "cipher": CIPHER,
        "kdf": key.kdf,
        **(SCRYPT if key.kdf == "scrypt" else {}),
        "salt": base64.b64encode(os.urandom(SALT_BYTES)).decode(),
        "nonce": base64.b64encode(os.urandom(NONCE_BYTES)).decode(),
    }


def seal(plain: bytes, key: Key, parameters: Mapping[str, Any], header: bytes) -> bytes:
    """Return the sealed bytes; `header` is authenticated with them."""
    AESGCM, *_ = _primitives()  # noqa: N806 -- a class
    sealed: bytes = AESGCM(key.derive(parameters, _part(parameters, "salt", SALT_BYTES))).encrypt(
        _part(parameters, "nonce", NONCE_BYTES), plain, header
    )
    return sealed


def unseal(sealed: bytes, key: Key, parameters: Mapping[str, Any], header: bytes) -> bytes:
    """Return the plain bytes.

    Raises:
        BackupFault: the key is another one, or somebody changed the file.

    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 -- see the module's docstring

    if parameters.get("cipher") != CIPHER:
        raise BackupFault(f"sealed with {parameters.get('cipher')!r}, which this version does not know")
    if parameters.get("kdf") != key.kdf:
        need = "--passphrase-file" if parameters.get("kdf") == "scrypt" else "--key-file"
        raise BackupFault(f"this backup was sealed the other way: give {need}")
    AESGCM, *_ = _primitives()  # noqa: N806 -- a class
    derived = key.derive(parameters, _part(parameters, "salt", SALT_BYTES))
    try:
        plain: bytes = AESGCM(derived).decrypt(_part(parameters, "nonce", NONCE_BYTES), sealed, header)
    except InvalidTag:
        raise BackupFault("cannot be opened: this is not its passphrase or key, or it was changed") from None
    return plain


def _bounded(parameters: Mapping[str, Any], name: str) -> int:
    value = parameters.get(name)
    if not isinstance(value, int) or not 1 <= value <= MAX_SCRYPT[name]:
        raise BackupFault(f"the header's scrypt {name} is {value!r}: the file is damaged")
    return value


def _part(parameters: Mapping[str, Any], name: str, length: int) -> bytes:
    try:
        part = base64.b64decode(str(parameters.get(name)), validate=True)
    except ValueError:
        part = b""
    if len(part) != length:
        raise BackupFault(f"the header's {name} is no {length} bytes: the file is damaged")
    return part


def _primitives() -> tuple[Any, Any, Any, Any]:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt  # noqa: PLC0415
    except ImportError:
        raise BackupFault("sealed backups need the package `cryptography`", hint=_OPTIONAL) from None
    return AESGCM, Scrypt, HKDF, SHA256
