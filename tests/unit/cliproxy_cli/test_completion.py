"""Words complete from the parsers and the cluster; the scripts are ones their shells can read."""

import shutil
import subprocess
from pathlib import Path

import pytest

from support.commandline import StubApi, listed, provider, run

PROVIDERS = "/apis/cliproxy.io/v1alpha1/namespaces/team-a/llmproviders"


def words(*typed: str, kubeconfig: Path | None = None) -> list[str]:
    return run("__complete", "--", *typed, kubeconfig=kubeconfig).out.split()


def test_commands_complete_and_the_hidden_one_does_not() -> None:
    found = words("")
    assert {"status", "cooldown", "cost", "completion"} <= set(found)
    assert not [word for word in found if word.startswith(("_", "-"))]
    assert words("co") == ["cooldown", "cost", "completion"]


def test_a_mistyped_command_is_told_those_that_people_use() -> None:
    ran = run("statsu")
    assert ran.code == 2
    assert "invalid choice: 'statsu'" in ran.err
    assert "support-bundle" in ran.err
    assert "__complete" not in ran.err


def test_options_and_their_values_complete() -> None:
    assert "--watch" in words("status", "--")
    assert words("completion", "") == ["bash", "zsh", "fish"]
    assert words("top", "--by", "") == ["requests", "errors", "latency", "tokens", "cost"]
    assert words("status", "-o", "j") == ["json"]
    assert words("backup", "v") == ["verify"]


def test_names_of_providers_come_from_the_cluster(api: StubApi, kubeconfig: Path) -> None:
    api.objects[PROVIDERS] = listed(provider("claude"), provider("groq"))

    assert words("cooldown", "", kubeconfig=kubeconfig) == ["claude", "groq"]
    assert words("recover", "gr", kubeconfig=kubeconfig) == ["groq"]
    assert words("recover", "groq", "", kubeconfig=kubeconfig) == []


def test_a_cluster_that_does_not_answer_is_no_error() -> None:
    ran = run("__complete", "--", "cooldown", "")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_read_by_their_shells(shell: str) -> None:
    script = run("completion", shell).out
    assert "cliproxy __complete" in script
    program = shutil.which(shell)
    if program is None:
        return  # its syntax is then judged where the shell is installed
    option = "--no-execute" if shell == "fish" else "-n"
    done = subprocess.run([program, option], input=script, text=True, capture_output=True, check=False)  # noqa: S603
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    program = tmp_path / "cliproxy"
    program.write_text("#!/bin/sh\nprintf 'status\\nsidecars\\n'\n")
    program.chmod(0o755)
    script = run("completion", "bash").out + (
        'COMP_WORDS=(cliproxy s); COMP_CWORD=1; _cliproxy; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(  # noqa: S603 -- the script is ours
        ["bash", "-c", script],  # noqa: S607 -- the shell that is meant
        text=True,
        capture_output=True,
        check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    assert done.stdout.split() == ["status", "sidecars"]
