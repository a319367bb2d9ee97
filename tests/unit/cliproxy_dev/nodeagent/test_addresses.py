from __future__ import annotations

from collections.abc import Iterator

import pytest

from cliproxy_dev.nodeagent.addresses import AddressPool, NoAddress

FIRST, SECOND = "127.0.77.250", "127.0.77.251"


@pytest.fixture
def pool() -> Iterator[AddressPool]:
    made = AddressPool(FIRST, 2)
    yield made
    made.close()


def test_addresses_are_unique_bounded_and_come_back(pool: AddressPool) -> None:
    assert [pool.take(), pool.take()] == [FIRST, SECOND]
    with pytest.raises(NoAddress, match="all 2 pod addresses"):
        pool.take()

    pool.give_back(FIRST)

    assert pool.take() == FIRST


def test_another_agents_addresses_are_left_alone(pool: AddressPool) -> None:
    other = AddressPool(FIRST, 2)
    assert other.take() == FIRST

    assert pool.take(FIRST) == SECOND
    other.give_back(FIRST)


def test_a_pod_gets_its_old_address_if_it_can(pool: AddressPool) -> None:
    assert pool.take(SECOND) == SECOND
    assert pool.take("127.0.99.1") == FIRST


def test_a_closed_pool_holds_no_address(pool: AddressPool) -> None:
    pool.take()
    pool.take()
    pool.close()

    other = AddressPool(FIRST, 2)
    assert [other.take(), other.take()] == [FIRST, SECOND]
    other.close()


@pytest.mark.parametrize(("first", "size"), [("10.0.0.1", 1), ("127.255.255.255", 2)])
def test_only_loopback_addresses(first: str, size: int) -> None:
    with pytest.raises(ValueError, match="not all loopback"):
        AddressPool(first, size)
