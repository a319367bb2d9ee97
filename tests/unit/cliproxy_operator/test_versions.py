"""Which providers an older snapshot runs as they are wanted."""

import msgspec

from cliproxy_api.snapshot import ObjectVersion, Provider, Snapshot
from cliproxy_operator.versions import KEPT, Versions
from support.cooling import provider

GROUP = ("ns", "")


def snapshot(digest: str, *providers: Provider, generation: int = 1) -> Snapshot:
    objects = tuple(
        ObjectVersion(kind="LLMProvider", namespace="ns", name=one.name, uid="u", generation=generation)
        for one in providers
    )
    return Snapshot(namespace="ns", digest=digest, providers=providers, objects=objects)


def test_only_what_changed_is_behind() -> None:
    versions = Versions()
    versions.publish(GROUP, snapshot("d1", provider("a"), provider("b")))
    versions.publish(GROUP, snapshot("d2", provider("a"), provider("b", weight=7), provider("c")))

    assert versions.behind(GROUP, "d2") == frozenset()
    assert versions.behind(GROUP, "d1") == {"ns/b", "ns/c"}


def test_going_back_makes_the_old_snapshot_the_wanted_one() -> None:
    versions = Versions()
    one, other = snapshot("d1", provider("a")), snapshot("d2", provider("a", weight=7))
    for published in (one, other, one):
        versions.publish(GROUP, published)

    assert versions.behind(GROUP, "d1") == frozenset()
    assert versions.behind(GROUP, "d2") == {"ns/a"}


def test_a_new_generation_is_another_version_even_if_it_runs_alike() -> None:
    versions = Versions()
    versions.publish(GROUP, snapshot("d1", provider("a")))
    versions.publish(GROUP, snapshot("d2", provider("a"), generation=2))

    assert versions.behind(GROUP, "d1") == {"ns/a"}


def test_of_a_snapshot_that_is_not_known_nothing_is_in_force() -> None:
    versions = Versions()
    assert versions.behind(GROUP, "d1") is None
    for number in range(KEPT + 1):
        versions.publish(GROUP, snapshot(f"d{number}", provider("a")))

    assert versions.behind(GROUP, "d0") is None
    assert versions.behind(GROUP, "d1") == frozenset()
    assert versions.behind(("ns", "other"), "d1") is None
    versions.drop(GROUP)
    assert versions.behind(GROUP, "d1") is None


def test_a_changed_profile_leaves_providers_in_force() -> None:
    versions = Versions()
    before = snapshot("d1", provider("a"))
    versions.publish(GROUP, before)
    profile = msgspec.structs.replace(before.profile, name="fast")
    versions.publish(GROUP, msgspec.structs.replace(before, digest="d2", profile=profile))

    assert versions.behind(GROUP, "d1") == frozenset()


def test_what_was_held_lately() -> None:
    versions = Versions()
    versions.publish(GROUP, snapshot("d1", provider("a"), provider("b")))
    versions.publish(GROUP, snapshot("d2", provider("a")))

    assert versions.held(GROUP, "ns/b")
    assert not versions.held(GROUP, "ns/c")
    assert not versions.held(("other", ""), "ns/b")
