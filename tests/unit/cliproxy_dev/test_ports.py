from __future__ import annotations

import socket

from cliproxy_dev.ports import free_ports


def test_ports_are_different_and_can_be_listened_on() -> None:
    ports = free_ports(5)

    assert len(set(ports)) == 5
    with socket.create_server(("127.0.0.1", ports[0])) as listener:
        assert listener.getsockname()[1] == ports[0]
