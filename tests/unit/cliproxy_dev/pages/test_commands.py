from __future__ import annotations

import pytest

from cliproxy_dev.pages.commands import Command, MalformedBlock, commands_of, strays

PAGE = """\
# Title

```console
$ kubectl get llm
NAME   PHASE
$ curl -s \\
    127.0.0.1
output
```

<!-- not run: needs a cluster -->
```console
$ helm install x y
```

<!-- typed by: tests/cluster/test_x.py -->
<!-- fails: denied the request -->
```console
$ kubectl get pods
$ kubectl apply -f bad.yaml
```

<!-- options only: takes an hour -->
```console
$ bench --all
```

<!-- not run: nothing of this stands above a block -->
words

1. A list

   ```console
   $ kubectl apply -f - <<'EOF'
   kind: LLMProvider
   EOF
   ```

```text
    kubectl get is what it prints
```
"""


def test_commands_stand_with_their_lines_and_reasons() -> None:
    found = list(commands_of("p.md", PAGE))

    assert found == [
        Command("p.md", 4, "kubectl get llm"),
        Command("p.md", 6, "curl -s \\\n    127.0.0.1"),
        Command("p.md", 13, "helm install x y", "needs a cluster"),
        Command("p.md", 19, "kubectl get pods", typist="tests/cluster/test_x.py"),
        Command(
            "p.md",
            20,
            "kubectl apply -f bad.yaml",
            typist="tests/cluster/test_x.py",
            fails="denied the request",
        ),
        Command("p.md", 25, "bench --all", options_only="takes an hour"),
        Command("p.md", 34, "kubectl apply -f - <<'EOF'\nkind: LLMProvider\nEOF"),
    ]
    assert [one.is_ordinary for one in found] == [True, True, False, False, False, False, True]


@pytest.mark.parametrize(
    ("code", "said", "as_told"),
    [
        (1, "Error: webhook denied\nthe request: no", True),
        (1, "no route to host", False),
        (0, "denied the request", False),
    ],
)
def test_a_command_that_is_to_fail_has_to_say_its_words(code: int, said: str, *, as_told: bool) -> None:
    command = Command("p.md", 1, "kubectl apply", fails="denied the request")

    assert command.failed_as_told(code, said) is as_told


@pytest.mark.parametrize("other", ["typed by: tests/x.py", "options only: long", "fails: words"])
def test_a_block_is_either_run_or_not(other: str) -> None:
    page = f"<!-- not run: never -->\n<!-- {other} -->\n```console\n$ a\n```\n"

    with pytest.raises(MalformedBlock, match="contradictory marks"):
        list(commands_of("p.md", page))


@pytest.mark.parametrize(
    "block", ["just words", "$ one \\", "$ cat <<'EOF'\nnever ended"], ids=["no-command", "backslash", "here"]
)
def test_a_block_that_a_reader_could_not_type_is_refused(block: str) -> None:
    with pytest.raises(MalformedBlock, match=r"^p\.md:\d"):
        list(commands_of("p.md", f"```console\n{block}\n```\n"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (PAGE, []),
        ("```sh\nkubectl get llm\n```\n", ["p.md:1: a block of kind sh"]),
        ("```text\n$ kubectl get llm\n```\n", ["p.md:2: $ kubectl get llm"]),
        ("Type\n\n    make run\n", ["p.md:3: make run"]),
        ("    $ kubectl get llm\n", ["p.md:1: $ kubectl get llm"]),
    ],
    ids=["none", "shell", "text", "indented", "prompt"],
)
def test_commands_that_stand_in_no_block_are_found(text: str, found: list[str]) -> None:
    assert list(strays("p.md", text)) == found
