"""Deriving deb-src entries from whatever form the machine's own entries have."""

from __future__ import annotations

from cliproxy_dev.controlplane.sources import derive

DEB822 = """\
# made by the installer
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates trixie
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def test_deb822_keeps_mirror_key_and_the_releases_own_suites() -> None:
    assert derive([("debian.sources", DEB822)], "bookworm") == (
        "Types: deb deb-src\n"
        "URIs: http://mirror.example/debian\n"
        "Suites: bookworm bookworm-updates\n"
        "Components: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        "\n"
        "Types: deb deb-src\n"
        "URIs: http://mirror.example/debian-security\n"
        "Suites: bookworm-security\n"
        "Components: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )


def test_one_line_entries_keep_what_decides_trust() -> None:
    text = (
        "# deb http://commented.example bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # ours\n"
        "deb-src http://mirror.example/debian bookworm main\n"
        "deb http://mirror.example/debian bookworm/updates main\n"
    )

    assert derive([("sources.list", text)], "bookworm") == (
        "Types: deb deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\n"
        "Signed-By: /k.gpg\n"
        "\n"
        "Types: deb deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm/updates\nComponents: main\n"
    )


def test_others_disabled_and_source_only_entries_are_left_out() -> None:
    files = [
        ("tool.list", "deb http://tool.example/apt tool-bookworm main\n"),
        ("node.sources", "Types: deb\nURIs: http://node.example\nSuites: nodistro\nComponents: main\n"),
        ("off.sources", "Enabled: no\nTypes: deb\nURIs: http://m\nSuites: bookworm\nComponents: main\n"),
        ("src.sources", "Types: deb-src\nURIs: http://m\nSuites: bookworm\nComponents: main\n"),
        ("nonfree.list", "deb http://m bookworm non-free\n"),
        ("empty.sources", ""),
    ]

    assert derive(files, "bookworm") == ""


def test_an_inline_key_is_kept_whole() -> None:
    key = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----"
    text = f"Types: deb\nURIs: http://m\nSuites: stable\nComponents: main\n{key}\n"

    derived = derive([("debian.sources", text)], "bookworm")

    assert derived.endswith(
        "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----\n"
    )
    assert "Suites: stable\n" in derived


def test_the_mirrors_of_this_release_can_be_asked_for_another_suite() -> None:
    files = [
        (
            "debian.sources",
            "Types: deb\nURIs: http://m\nSuites: bookworm bookworm-updates\nComponents: main\n",
        ),
        ("security.list", "deb http://security.example bookworm-security main\n"),
        ("tool.list", "deb http://tool.example/apt tool-bookworm main\n"),
    ]

    assert derive(files, "bookworm", suite="sid") == (
        "Types: deb deb-src\nURIs: http://m\nSuites: sid\nComponents: main\n"
    )
