"""A loopback address for each pod, unique among all node agents of this machine.

A claim is a socket bound to kubelet's port at the address: no other agent can bind it, and the kernel gives
it back when this process ends in whatever way. What listens at the address is left to the pod.
"""

from __future__ import annotations

import ipaddress
import socket

KUBELET_PORT = 10250


class NoAddress(RuntimeError):
    """Every address of the pool is taken."""


class AddressPool:
    """Loopback addresses from `first` on, at most `size` of them."""

    def __init__(self, first: str = "127.0.1.10", size: int = 240) -> None:
        """Raises `ValueError` unless all of them are loopback addresses."""
        start = ipaddress.IPv4Address(first)
        self._addresses = [str(start + offset) for offset in range(size)]
        if not (start.is_loopback and (start + size - 1).is_loopback):
            raise ValueError(f"{first} and the {size} addresses from there are not all loopback addresses")
        self._claims: dict[str, socket.socket] = {}

    def take(self, preferred: str = "") -> str:
        """Claim an address, `preferred` if it is in the pool and free. Raises `NoAddress`."""
        if preferred in self._addresses and self._claim(preferred):
            return preferred
        for address in self._addresses:
            if self._claim(address):
                return address
        raise NoAddress(f"all {len(self._addresses)} pod addresses from {self._addresses[0]} on are taken")

    def give_back(self, address: str) -> None:
        """Let others have the address; unknown ones are fine."""
        if (claim := self._claims.pop(address, None)) is not None:
            claim.close()

    def close(self) -> None:
        """Give all addresses back: those too whose pods were dropped before they could."""
        for address in list(self._claims):
            self.give_back(address)

    def _claim(self, address: str) -> bool:
        if address in self._claims:
            return False
        claim = socket.socket()
        try:
            claim.bind((address, KUBELET_PORT))
        except OSError:
            claim.close()
            return False
        self._claims[address] = claim
        return True
