"""Where a `baseURL` must not point: link-local addresses, cloud metadata, the API server.

A provider's address gets the provider's key and its answer goes to the caller, so it could be used to read
what only nodes and the control plane may. Only the address as written is judged: names are resolved by
sidecars, whose network policy is the place for more.
"""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

from cliproxy_operator.inputs import AddressRules

_METADATA_NAMES: Final = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
_METADATA_ADDRESSES: Final = frozenset(
    {
        IPv4Address("100.100.100.200"),  # Alibaba Cloud
        IPv4Address("168.63.129.16"),  # Azure's wire server
        IPv6Address("fd00:ec2::254"),  # Amazon EC2 over IPv6
        IPv6Address("fd20:ce::254"),  # Google Cloud over IPv6
    }
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_API_SERVER_NAMES: Final = frozenset({"kubernetes", "kubernetes.default", "kubernetes.default.svc"})
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]{1,8}|[0-9]{1,11}")
_PORTS: Final = {"http": 80, "https": 443}


def endpoint_of(url: str) -> tuple[str, int]:
    """Return the host, in lower case, and the port of an address that is known to be one."""
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme, 80)


def refusal(url: str, rules: AddressRules) -> str | None:
    """Return why this address is refused, as the rest of a sentence; None: it may be used.

    Never raises, whatever the text.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").lower()
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return "is not an address: host or port cannot be read"
    if not host:
        return "names no host"
    if not host.isascii():  # clients map digits, letters and dots of other scripts to ASCII, each its own way
        return "names a host that is not ASCII; write the form of it that begins with xn--"
    address = _address(host)
    if not rules.allow_link_local and (host in _METADATA_NAMES or _is_link_local(address)):
        return (
            "points at a link-local or cloud metadata address, which is refused; "
            "use the provider's public address or a Service"
        )
    if not rules.allow_api_server and _is_api_server(host, address, port, rules):
        return "points at the Kubernetes API server, which is refused; use the provider's own address"
    return None


def _is_link_local(address: IPv4Address | IPv6Address | None) -> bool:
    return address is not None and (address.is_link_local or address in _METADATA_ADDRESSES)


def _is_api_server(
    host: str, address: IPv4Address | IPv6Address | None, port: int, rules: AddressRules
) -> bool:
    if host in _API_SERVER_NAMES or host.startswith("kubernetes.default.svc."):
        return True
    return any(
        port == server_port and (host == server or (address is not None and address == _address(server)))
        for server, server_port in rules.api_servers
    )


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a host's text stands for, in every form that resolvers take; None: a name."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return _old_form(host)
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _old_form(host: str) -> IPv4Address | None:
    """Read one to four numbers, decimal, octal or hexadecimal, the last filling the rest (inet_aton)."""
    texts = host.split(".")
    if len(texts) > 4 or not all(_NUMBER.fullmatch(text) for text in texts):  # noqa: PLR2004 -- four bytes
        return None
    try:
        *heads, last = (_number(text) for text in texts)
    except ValueError:
        return None
    if any(head > 0xFF for head in heads) or last >= 1 << (8 * (4 - len(heads))):  # noqa: PLR2004 -- a byte
        return None
    value = last
    for place, head in enumerate(heads):
        value |= head << (8 * (3 - place))
    return IPv4Address(value)


def _number(text: str) -> int:
    if text[:2].lower() == "0x":
        return int(text, 16)
    return int(text, 8) if text.startswith("0") and text != "0" else int(text)
