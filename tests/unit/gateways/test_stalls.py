from gateways.serving import first_in_line
from gateways.stalls import Collection, Held, Stall, rows


def test_what_took_long_is_told_by_whose_doing_it_was() -> None:
    held = Held(
        callbacks=4,
        cpu_p50_us=50.0,
        cpu_p99_us=90.0,
        cpu_max_us=3000.0,
        waited_s=0.1,
        stalls=[
            Stall(name="flush", wall_ms=3.0, cpu_ms=2.9),
            Stall(name="flush", wall_ms=9.0, cpu_ms=0.1),
            Stall(name="tick", wall_ms=5.0, cpu_ms=0.2),
        ],
        collections=[Collection(generation=0, cpu_ms=0.5), Collection(generation=0, cpu_ms=0.25)],
    )
    assert list(rows(held)) == [
        ("interrupted by the machine", 2, 9.0, 14.0),
        ("flush", 1, 3.0, 3.0),
        ("garbage collection, generation 0", 2, 0.5, 0.75),
    ]


def test_a_command_may_run_first_or_runs_as_it_is() -> None:
    assert first_in_line(["true"]) in (["true"], ["chrt", "--fifo", "1", "true"])
