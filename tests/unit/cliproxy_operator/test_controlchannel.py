"""Which way to sidecars the settings choose, and when what we show has changed."""

from __future__ import annotations

from pathlib import Path

from cliproxy_operator.controlchannel import ControlChannel
from cliproxy_operator.settings import Settings, read_settings
from cliproxy_operator.transport import PlainTransport, TlsTransport
from cliproxy_operator.vault import Vault
from support.pki import Authority, write

OURS, THEIRS = Authority(), Authority()
SECRET = {
    "metadata": {"namespace": "shop", "name": "key", "resourceVersion": "1"},
    "data": {"api-key": "c2VjcmV0"},
}


def vault() -> Vault:
    made = Vault(lambda _namespaces: None, digest_key=b"of one replica")
    made.need("shop", [("shop", "key")])
    made.put(SECRET)
    return made


def digests(held: Vault) -> str:
    return repr(held.views([("shop", "key")]))


def mounted(folder: Path) -> Settings:
    return read_settings({"CLIPROXY_TLS_DIR": str(folder)})


def test_a_token_means_plain_http_and_keys_the_digests() -> None:
    settings = read_settings({"CLIPROXY_CONTROL_TOKEN": "sixteen-characters"})
    one, another = vault(), vault()
    channel = ControlChannel.of(settings, vault=one, pki=None)
    ControlChannel.of(settings, vault=another, pki=None)

    assert isinstance(channel.transport, PlainTransport)
    assert channel.problem() == ""
    assert not channel.renewed()
    assert digests(one) == digests(another) != digests(vault())


def test_mounted_files_mean_mutual_tls_and_what_is_wrong_with_them_is_said(tmp_path: Path) -> None:
    held = vault()
    channel = ControlChannel.of(mounted(tmp_path), vault=held, pki=None)

    assert isinstance(channel.transport, TlsTransport)
    assert "tls.crt: No such file" in channel.problem()
    assert not channel.renewed()

    write(tmp_path, OURS.operator(), OURS.pem)
    assert channel.problem() == ""


def test_replaced_files_are_news_once(tmp_path: Path) -> None:
    write(tmp_path, OURS.operator(), OURS.pem)
    channel = ControlChannel.of(mounted(tmp_path), vault=vault(), pki=None)
    assert not channel.renewed(), "the first is nothing new to anybody"

    write(tmp_path, OURS.operator(), OURS.pem + THEIRS.pem)
    assert channel.renewed()
    assert not channel.renewed()
