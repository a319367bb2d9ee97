from gateways.interpreter import Build, chosen, optimised, told


def build(version: tuple[int, int, int] = (3, 12, 1), *, flags: str = "", base: str = "/opt/python") -> Build:
    return Build(version=version, name="cpython", flags=flags, base=base)


PLAIN = build(flags="'--enable-shared'")
OPTIMISED = build(flags="'--enable-optimizations' '--with-lto'")
SYSTEM = build((3, 11, 2), base="/usr")


def test_flags_say_that_a_build_is_optimised() -> None:
    assert optimised(OPTIMISED, None) == "built with --enable-optimizations"
    assert optimised(build(flags="-O3 -fprofile-use"), "arch") == "built with -fprofile-use"
    assert optimised(PLAIN, "debian") is None


def test_debians_own_python_is_known_to_be_optimised() -> None:
    assert "Debian" in (optimised(SYSTEM, "debian") or "")
    assert optimised(SYSTEM, "alpine") is None
    assert optimised(build(base="/usr/local"), "debian") is None


def test_the_page_says_what_the_figures_were_made_with() -> None:
    assert told(OPTIMISED, None) == "3.12.1 (optimised: built with --enable-optimizations)"
    assert "figures are too low" in told(PLAIN, "debian")


def test_an_unoptimised_interpreter_hands_over_to_the_newest_that_is_not() -> None:
    others = [("/usr/bin/python3", SYSTEM), ("/opt/new", OPTIMISED), ("/opt/plain", build((3, 14, 0)))]
    assert chosen(PLAIN, others, "debian") == "/opt/new"
    assert chosen(PLAIN, others[:1], "debian") == "/usr/bin/python3"


def test_it_stays_where_nothing_is_better() -> None:
    assert chosen(OPTIMISED, [("/usr/bin/python3", SYSTEM)], "debian") is None
    assert chosen(PLAIN, [("/opt/plain", PLAIN)], "debian") is None
    assert chosen(PLAIN, [("/opt/old", build((3, 9, 2), flags="--enable-optimizations"))], None) is None
    other = Build(version=(3, 12, 0), name="pypy", flags="--enable-optimizations", base="/x")
    assert chosen(PLAIN, [("/x", other)], None) is None
