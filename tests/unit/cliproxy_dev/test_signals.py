from datetime import datetime, timedelta
from importlib import resources

import msgspec
import pytest

from cliproxy_dev.providers.signals import Signal, load_all
from cliproxy_dev.providers.signals.signal import OutcomeClass

ALL = load_all()
JSON_TYPES = ("application/json",)


def test_every_file_carries_its_own_name() -> None:
    files = {f.name for f in resources.files("cliproxy_dev.providers.signals").iterdir()}
    assert {f"{s.name}.json" for s in ALL} == {f for f in files if f.endswith(".json")}
    assert len(ALL) > 100


def test_every_class_that_a_provider_can_cause_is_covered() -> None:
    every: set[str] = set(OutcomeClass.__args__)  # type: ignore[attr-defined]
    assert {s.expect.class_ for s in ALL} == every - {"Cancelled"}


@pytest.mark.parametrize("signal", ALL, ids=lambda s: s.name)
def test_signal_is_consistent(signal: Signal) -> None:
    assert signal.flavour == signal.name.split(".")[0]
    assert all(name == name.lower() for name in signal.headers)
    assert "content-length" not in signal.headers
    assert datetime.fromisoformat(signal.now_utc).utcoffset() == timedelta(0)
    assert (signal.stream_event is not None) == (signal.expect.class_ == "StreamError")
    assert (signal.expect.inner is not None) == (signal.expect.class_ == "StreamError")
    if signal.headers["content-type"].startswith(JSON_TYPES) and signal.body:
        msgspec.json.decode(signal.body)
    if signal.stream_event is not None:
        assert signal.status == 200
        assert signal.body.endswith("\n\n")
        assert signal.stream_event.endswith("\n\n")
