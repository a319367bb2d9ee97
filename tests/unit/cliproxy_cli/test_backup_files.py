"""Backups as bytes and files: sealed or not, whole or refused, kept or removed."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import msgspec
import pytest

from cliproxy_cli.backup import envelope, sealing, shelf
from cliproxy_cli.backup.content import Content, Entry, SecretEntry
from cliproxy_cli.backup.envelope import pack, read_header, unpack
from cliproxy_cli.backup.faults import BackupFault
from cliproxy_cli.backup.sealing import KeyFile, Passphrase, key_file, passphrase

ENTRY = Entry(kind="LLMProvider", namespace="team-a", name="claude", uid="u1", spec={"type": "anthropic"})
SECRET = SecretEntry(namespace="team-a", name="keys", data={"key": "c2stcGxhbnRlZA=="})
PLAIN = Content(id="ab12cd34", taken_at="2026-11-21T12:00:00Z", scope="team-a", objects=(ENTRY,))
WITH_SECRETS = msgspec.structs.replace(PLAIN, secrets=(SECRET,))
KEY = KeyFile(bytes(range(32)))


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase that costs nothing: what scrypt costs is not the subject."""
    monkeypatch.setattr(sealing, "SCRYPT", {"n": 2, "r": 8, "p": 1})


def test_an_open_backup_comes_back_and_can_be_read_without_a_key() -> None:
    file = pack(PLAIN, None)
    assert unpack(file, None) == PLAIN
    assert unpack(file, KEY) == PLAIN
    header = read_header(file)
    assert (header.id, header.objects, header.encryption) == ("ab12cd34", 1, None)


def test_a_sealed_backup_tells_its_header_and_no_more(cheap: None) -> None:
    for key in (KEY, passphrase("correct horse battery\n")):
        file = pack(WITH_SECRETS, key)
        assert unpack(file, key) == WITH_SECRETS
        assert b"claude" not in file
        assert b"c2stcGxhbnRlZA" not in file
        assert read_header(file).secrets == 1


def test_the_same_content_never_seals_to_the_same_bytes() -> None:
    assert pack(PLAIN, KEY) != pack(PLAIN, KEY)


def test_secrets_are_never_written_in_the_open() -> None:
    with pytest.raises(BackupFault, match="only written sealed"):
        pack(WITH_SECRETS, None)


def test_another_key_opens_nothing(cheap: None) -> None:
    file = pack(PLAIN, passphrase("correct horse battery"))
    with pytest.raises(BackupFault, match="not its passphrase"):
        unpack(file, passphrase("incorrect horse battery"))
    with pytest.raises(BackupFault, match="--passphrase-file"):
        unpack(file, KEY)
    with pytest.raises(BackupFault, match="sealed"):
        unpack(file, None)


def test_any_damaged_byte_is_noticed() -> None:
    file = pack(PLAIN, KEY)
    for place in range(0, len(file), 7):
        spoilt = bytearray(file)
        spoilt[place] ^= 1
        with pytest.raises(BackupFault):
            unpack(bytes(spoilt), KEY)
    for length in (0, 5, len(file) // 2, len(file) - 1):
        with pytest.raises(BackupFault):
            unpack(file[:length], KEY)


def test_a_header_that_was_exchanged_does_not_fit_the_seal() -> None:
    """Who makes the checksum right again is not let through by the seal."""
    file = pack(PLAIN, KEY)
    forged = file.replace(b'"scope":"team-a"', b'"scope":"team-b"')
    body = forged[: -envelope._TRAILER_BYTES]
    import hashlib  # noqa: PLC0415

    forged = body + envelope._TRAILER + hashlib.sha256(body).hexdigest().encode() + b"\n"
    assert read_header(forged).scope == "team-b"
    with pytest.raises(BackupFault, match="cannot be opened"):
        unpack(forged, KEY)


def test_a_later_format_and_other_files_are_told_apart() -> None:
    with pytest.raises(BackupFault, match="use a newer cliproxy"):
        read_header(pack(PLAIN, None).replace(b"cliproxy-backup 1\n", b"cliproxy-backup 2\n"))
    with pytest.raises(BackupFault, match="is no backup of ours"):
        read_header(b"apiVersion: v1\n")


def test_a_header_cannot_ask_for_a_machine_full_of_memory(cheap: None) -> None:
    parameters = sealing.parameters_for(Passphrase("x" * 12)) | {"n": 2**30}
    with pytest.raises(BackupFault, match="scrypt n"):
        sealing.unseal(b"", Passphrase("x" * 12), parameters, b"")


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "MAX_INSIDE_BYTES", 100)
    with pytest.raises(BackupFault, match="larger than 100"):
        unpack(pack(PLAIN, None), None)


def test_keys_are_32_bytes_in_base64_or_raw_and_phrases_long_enough() -> None:
    raw = os.urandom(32)
    assert key_file(raw).secret == raw
    assert key_file(base64.b64encode(raw) + b"\n").secret == raw
    for wrong in (b"", b"short", base64.b64encode(b"x" * 31)):
        with pytest.raises(BackupFault, match="openssl rand"):
            key_file(wrong)
    with pytest.raises(BackupFault, match="12 characters"):
        passphrase("short\n")


def test_keys_do_not_show_in_tracebacks() -> None:
    assert "correct" not in repr(Passphrase("correct horse battery"))
    assert "\\x01" not in repr(KEY)


# ----------------------------------------------------------------------- files
def put(folder: Path, day: int, *, scope: str = "team-a") -> Path:
    content = msgspec.structs.replace(
        PLAIN, taken_at=f"2026-11-{day:02}T12:00:00Z", scope=scope, id=f"{day:016x}"
    )
    path = folder / shelf.file_name(content)
    shelf.write_file(path, pack(content, None))
    return path


def test_a_file_is_for_its_owner_only_and_leaves_no_halves(tmp_path: Path) -> None:
    path = put(tmp_path / "made" / "on the way", 1)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    (tmp_path / "file").write_text("")
    with pytest.raises(BackupFault, match="file"):
        shelf.write_file(tmp_path / "file" / "x", b"")


def test_the_newest_of_each_scope_stay(tmp_path: Path) -> None:
    paths = [put(tmp_path, day) for day in (3, 1, 2)]
    other = put(tmp_path, 1, scope="ALL")
    (tmp_path / "notes.txt").write_text("not ours")
    found = shelf.volumes(tmp_path)
    assert {one.path for one in found} == {*paths, other}
    assert [one.path for one in shelf.surplus(found, keep=2)] == [paths[1]]
    assert [one.path for one in shelf.surplus(found, keep=1, scope="ALL")] == []
    assert [one.path for one in shelf.surplus(found, keep=9)] == []


def test_a_damaged_file_is_neither_counted_nor_removed(tmp_path: Path) -> None:
    old, damaged, new = (put(tmp_path, day) for day in (1, 2, 3))
    damaged.write_bytes(damaged.read_bytes()[:-5])
    found = shelf.volumes(tmp_path)
    assert [one.fault != "" for one in found] == [False, True, False]
    assert shelf.surplus(found, keep=2) == []
    assert [one.path for one in shelf.surplus(found, keep=1)] == [old]
    assert new.exists()
