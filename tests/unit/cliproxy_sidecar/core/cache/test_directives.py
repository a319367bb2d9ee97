"""A caller's Cache-Control, as far as it is ours."""

import pytest

from cliproxy_sidecar.core.cache.directives import ANY, MAX_AGE_S, Directives, directives_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", ANY),
        (b"only-if-cached, max-stale", ANY),
        (b"no-store", Directives(read=False, write=False)),
        (b"no-cache, No-Store", Directives(read=False, write=False)),
        (b"NO-CACHE", Directives(read=False)),
        (b"max-age=0", Directives(read=False)),
        (b"max-age=60", Directives(max_age_s=60)),
        (b'max-age="60"', Directives(max_age_s=60)),
        (b"max-age=9999999999999", Directives(max_age_s=MAX_AGE_S)),
        (b"max-age=soon", Directives(read=False)),
        (b"max-age=-1", Directives(read=False)),
    ],
)
def test_directives(value: bytes, expected: Directives) -> None:
    assert directives_of([(b"accept", b"*/*"), (b"cache-control", value)]) == expected


def test_several_lines_are_one_list() -> None:
    headers = [(b"cache-control", b"max-age=60"), (b"cache-control", b"max-age=5")]
    assert directives_of(headers) == Directives(max_age_s=5)
