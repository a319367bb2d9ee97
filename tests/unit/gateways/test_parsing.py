import pytest

from gateways import machine, packages, wrk
from gateways.answers import Answer
from gateways.percentiles import percentile_us
from gateways.procfs import Stat, descendants, parse_resident_bytes, parse_stat


def test_wrk_output_is_read_and_failures_do_not_count_as_rate() -> None:
    line = 'RACE {"requests":1000,"duration_us":2000000,"p50_us":120,"p99_us":900,"failed":100}'
    summary = wrk.parse(f"Running 2s test\n  2 threads\n{line}\n")
    assert summary.requests_per_s == 450
    assert (summary.p50_us, summary.p99_us) == (120, 900)


def test_wrk_that_did_not_finish_is_told_with_its_words() -> None:
    with pytest.raises(ValueError, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:1\n")


def test_script_carries_body_and_headers_as_lua_strings() -> None:
    text = wrk.script(b'{"a":"b"}', {"x-one": "1"})
    assert 'wrk.body = "{\\"a\\":\\"b\\"}"' in text
    assert '["x-one"] = "1"' in text
    with pytest.raises(ValueError, match="ASCII"):
        wrk.script("{ä}".encode(), {})


def test_stat_of_a_process_with_brackets_in_its_name() -> None:
    text = "42 (a (odd) name) S 7 1 1 0 -1 4194304 10 20 30 40 100 50 3 2 20 0 1"
    assert parse_stat(text) == Stat(parent=7, cpu_ticks=155)


def test_resident_memory_is_in_bytes() -> None:
    assert parse_resident_bytes("Name:\tx\nVmRSS:\t  2048 kB\n") == 2 * 1024 * 1024
    assert parse_resident_bytes("Name:\tx\n") == 0


def test_descendants_are_found_at_any_depth_and_others_are_not() -> None:
    stats = {1: Stat(0, 0), 5: Stat(1, 0), 6: Stat(5, 0), 7: Stat(6, 0), 8: Stat(1, 0)}
    assert descendants(5, stats) == {5, 6, 7}
    assert descendants(99, stats) == set()


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_answers_end_where_they_end_however_they_are_cut(size: int) -> None:
    plain = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    chunked = b"HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    for raw, status in ((plain, 200), (chunked, 404)):
        answer = Answer()
        pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
        ends = [answer.feed(piece) for piece in pieces]
        assert ends == [False] * (len(pieces) - 1) + [True]
        assert answer.status == status


def test_percentiles_of_few_and_of_no_values() -> None:
    values = [number / 1e6 for number in range(1, 101)]
    assert (percentile_us(values, 50), percentile_us(values, 99)) == (50, 99)
    assert percentile_us([0.001], 99) == 1000
    assert percentile_us([], 50) == 0


def test_reason_names_the_error_and_no_place() -> None:
    pip = "WARNING: old\nERROR: Could not find a version that satisfies x\nERROR: No matching distribution"
    assert packages.reason(pip) == "ERROR: Could not find a version that satisfies x"
    npm = "npm error 404 Not Found - GET some://registry.example/x\nnpm error log: /home/someone/x.log"
    assert "/" not in packages.reason(npm)
    assert packages.reason("") == ""


def test_machine_facts() -> None:
    assert machine.parse_processor("processor\t: 0\nmodel name\t: Some  CPU @ 2 GHz\n") == "Some CPU @ 2 GHz"
    assert machine.parse_memory("MemTotal:       25165824 kB\n") == "24 GiB"
    assert machine.parse_processor("") == machine.parse_memory("") == ""
