from __future__ import annotations

import pytest

from cliproxy_dev.pages.commands import Command, MalformedBlock, commands_of

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

1. A list

   ```console
   $ kubectl apply -f - <<'EOF'
   kind: LLMProvider
   EOF
   ```

```sh
$ not a command
```
"""


def test_commands_stand_with_their_lines_and_reasons() -> None:
    found = list(commands_of("p.md", PAGE))

    assert found == [
        Command("p.md", 4, "kubectl get llm"),
        Command("p.md", 6, "curl -s \\\n    127.0.0.1"),
        Command("p.md", 13, "helm install x y", "needs a cluster"),
        Command("p.md", 19, "kubectl apply -f - <<'EOF'\nkind: LLMProvider\nEOF"),
    ]


@pytest.mark.parametrize(
    "block", ["just words", "$ one \\", "$ cat <<'EOF'\nnever ended"], ids=["no-command", "backslash", "here"]
)
def test_a_block_that_a_reader_could_not_type_is_refused(block: str) -> None:
    with pytest.raises(MalformedBlock, match=r"^p\.md:\d"):
        list(commands_of("p.md", f"```console\n{block}\n```\n"))
