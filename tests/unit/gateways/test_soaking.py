"""What a soak comes to."""

from xml.etree import ElementTree as ET

import pytest

from gateways import soaking
from gateways.figures import Paced, Streaming
from gateways.soaking import Sample, Soak

MIB = 2**20


def soak(*mib: float) -> Soak:
    samples = [
        Sample(at_s=60.0 * number, memory_bytes=round(one * MIB), cpu_s=30.0 * number)
        for number, one in enumerate(mib)
    ]
    streams = Streaming(
        tokens=400,
        seconds=600.0,
        streams=20,
        broken=0,
        first_p50_us=1.0,
        first_p99_us=1.0,
        token_p50_us=1.0,
        token_p99_us=1.0,
    )
    requests = Paced(rate_per_s=100.0, p50_us=1.0, p99_us=1.0, failed=0, late=0)
    return Soak(
        date="2026-11-30",
        machine={"cores": "2"},
        samples=samples,
        requests=requests,
        streams=streams,
        seconds=600,
    )


@pytest.mark.parametrize(
    "mib",
    [
        (30, 38, 40, 40, 40, 41, 40, 40, 41, 41),  # it grows into its caches first
        (40, 40, 40, 40, 90, 40, 40, 40, 40, 40),  # a peak that is given back
    ],
)
def test_what_is_given_back_is_no_growth(mib: tuple[float, ...]) -> None:
    assert soaking.is_flat(soak(*mib))
    assert "(flat)" in soaking.describe(soak(*mib))


def test_what_stays_is_growth() -> None:
    growing = soak(40, 40, 41, 42, 43, 44, 45, 46, 47, 48)
    assert not soaking.is_flat(growing)
    assert "NOT flat" in soaking.describe(growing)


def test_the_text_holds_the_figures() -> None:
    text = soaking.describe(soak(30, 38, 40, 40, 40, 41, 40, 40, 41, 41))
    assert "10 minutes of 100 requests/s (60,000 in all)" in text
    assert "0 requests failed, 0 were unanswered at the end, 0 streams broke off; 50% of a core" in text
    assert "30.0 MiB at the start, 41.0 MiB at most, 41.0 MiB at the end" in text


def test_the_picture_begins_at_zero_and_holds_every_sample() -> None:
    root = ET.fromstring(soaking.picture(soak(40, 40, 40, 40, 40)))  # noqa: S314 -- our own
    line = root.find("{*}polyline")
    assert line is not None
    heights = {float(point.split(",")[1]) for point in line.attrib["points"].split()}
    assert len(line.attrib["points"].split()) == 5
    assert len(heights) == 1
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "0" in texts
