r"""A backup as bytes: a line that says what it is, a header in the clear, the inside, a checksum.

    cliproxy-backup 1\n
    {"id": ..., "takenAt": ..., "scope": ..., "objects": 7, "secrets": 2, "encryption": {...}, ...}\n
    <gzip of the inside's JSON, sealed if `encryption` stands in the header>
    \nsha256:<64 hex digits of everything before this line>\n

The checksum finds damage; against people it is the seal that counts. Version 1 is read for ever; what a later
version adds to the header is passed over, what it changes gets another number.
"""

import hashlib
import zlib
from typing import Any, Final

import msgspec

from cliproxy_api.version import __version__
from cliproxy_cli.backup.content import Content
from cliproxy_cli.backup.faults import BackupFault
from cliproxy_cli.backup.sealing import Key, parameters_for, seal, unseal

MAGIC: Final = b"cliproxy-backup "
VERSION: Final = 1
MAX_HEADER_BYTES: Final = 16_384
MAX_INSIDE_BYTES: Final = 256 * 1024 * 1024
"""Of the unpacked inside: some hundred thousand objects. A few bytes must not unpack to a full memory."""
_TRAILER: Final = b"\nsha256:"
_TRAILER_BYTES: Final = len(_TRAILER) + 64 + 1
_GZIP: Final = 16 + zlib.MAX_WBITS


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What can be read without a key."""

    id: str
    taken_at: str
    scope: str
    objects: int
    secrets: int = 0
    tool: str = ""
    """Version that wrote it."""
    encryption: dict[str, Any] | None = None


def pack(content: Content, key: Key | None) -> bytes:
    """Return the file.

    Raises:
        BackupFault: it holds Secrets and there is no key.

    """
    if content.secrets and key is None:
        raise BackupFault(
            "Secrets are only written sealed", hint="give --passphrase-file or --key-file, or leave them out"
        )
    header = Header(
        id=content.id,
        taken_at=content.taken_at,
        scope=content.scope,
        objects=len(content.objects),
        secrets=len(content.secrets),
        tool=__version__,
        encryption=parameters_for(key) if key is not None else None,
    )
    head = MAGIC + str(VERSION).encode() + b"\n" + msgspec.json.encode(header) + b"\n"
    inside = zlib.compress(msgspec.json.encode(content), wbits=_GZIP)
    if key is not None and header.encryption is not None:
        inside = seal(inside, key, header.encryption, head)
    body = head + inside
    return body + _TRAILER + hashlib.sha256(body).hexdigest().encode() + b"\n"


def read_header(file: bytes) -> Header:
    """Return the header of an intact file.

    Raises:
        BackupFault: no backup, of a later version, cut short or damaged.

    """
    return _split(file)[1]


def unpack(file: bytes, key: Key | None) -> Content:
    """Return the inside.

    Raises:
        BackupFault: as `read_header`; or sealed and the key is missing or another one.

    """
    head, header, inside = _split(file)
    if header.encryption is not None:
        if key is None:
            need = "--passphrase-file" if header.encryption.get("kdf") == "scrypt" else "--key-file"
            raise BackupFault("it is sealed", hint=f"give {need} FILE")
        inside = unseal(inside, key, header.encryption, head)
    try:
        content = msgspec.json.decode(_inflate(inside), type=Content)
    except msgspec.DecodeError as error:
        raise BackupFault(f"its inside is not what a backup holds: {error}") from None
    said = (header.id, header.taken_at, header.scope, header.objects, header.secrets)
    held = (content.id, content.taken_at, content.scope, len(content.objects), len(content.secrets))
    if said != held:
        raise BackupFault("header and inside disagree: the file was put together by hand")
    return content


def _split(file: bytes) -> tuple[bytes, Header, bytes]:
    """Return the head's bytes, the header and what stands between it and the checksum."""
    if not file.startswith(MAGIC):
        raise BackupFault("is no backup of ours: it does not begin with 'cliproxy-backup'")
    first = file.find(b"\n", 0, 64)
    version = file[len(MAGIC) : first] if first > 0 else b""
    if not version.isdigit():
        raise BackupFault("is damaged in its first line")
    if int(version) != VERSION:
        raise BackupFault(f"has format {int(version)}, this version reads {VERSION}: use a newer cliproxy")
    body, trailer = file[:-_TRAILER_BYTES], file[-_TRAILER_BYTES:]
    if not trailer.startswith(_TRAILER) or not trailer.endswith(b"\n"):
        raise BackupFault("is cut short: its checksum is missing")
    if trailer[len(_TRAILER) : -1] != hashlib.sha256(body).hexdigest().encode():
        raise BackupFault("is damaged: its checksum does not match")
    second = body.find(b"\n", first + 1, first + MAX_HEADER_BYTES)
    if second < 0:
        raise BackupFault("is damaged: its header has no end")
    try:
        header = msgspec.json.decode(body[first + 1 : second], type=Header)
    except msgspec.DecodeError as error:
        raise BackupFault(f"has a header that cannot be read: {error}") from None
    return body[: second + 1], header, body[second + 1 :]


def _inflate(packed: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=_GZIP)
    try:
        inside = stream.decompress(packed, MAX_INSIDE_BYTES)
    except zlib.error as error:
        raise BackupFault(f"its inside cannot be unpacked: {error}") from None
    if stream.unconsumed_tail:
        raise BackupFault(f"its inside is larger than {MAX_INSIDE_BYTES} bytes")
    if not stream.eof:
        raise BackupFault("its inside is cut short")
    return inside
