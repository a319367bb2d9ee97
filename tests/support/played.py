"""Both images, built, and single containers of them under podman: for the tests behind `make test-images`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.images.build import Image
from cliproxy_dev.images.engine import Engine, obtain
from cliproxy_dev.images.play import HARDENED

COMPILED_IMAGES = os.environ.get("TEST_IMAGES_COMPILED") == "1"
"""Whether the sidecar's image is to have the compiled hot path (`make test-images COMPILED=1`)."""
WITHOUT_SYSTEMD = {"DISABLE_HC_SYSTEMD": "true"}
"""There is nobody here to ask the health check in turns: the tests do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What podman, or what it ran in a container, had to say."""

    code: int
    said: str


class Podman:
    """podman with the store of images."""

    def __init__(self) -> None:
        self._engine: Engine = obtain(os.environ, Progress())

    def run(self, *words: str) -> Answer:
        """Run one of podman's commands to its end."""
        done = subprocess.run(  # noqa: S603 -- the words are the test's
            self._engine.command("podman", *words),
            env=self._engine.environment(os.environ) | WITHOUT_SYSTEMD,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Answer(done.returncode, (done.stdout + done.stderr).strip())

    @contextlib.contextmanager
    def container(self, image: Image, *words: str) -> Iterator[Container]:
        """Start the image hardened as the chart has it, on a network of its own: loopback only."""
        name = f"cliproxy-test-{uuid.uuid4().hex[:12]}"
        started = self.run(
            "run", "--detach", f"--name={name}", "--network=none", *HARDENED, *words, image.tag
        )
        assert started.code == 0, started.said
        try:
            yield Container(self, name)
        finally:
            self.run("rm", "--force", "--time=0", name)


@dataclass(frozen=True, slots=True)
class Container:
    """One container that was started."""

    podman: Podman
    name: str

    def healthy(self) -> bool:
        """Run the image's HEALTHCHECK in the container, as a container engine does in turns."""
        return self.podman.run("healthcheck", "run", self.name).code == 0

    def state(self, field: str) -> str:
        """Return a field of the container's state."""
        return self.podman.run("inspect", f"--format={{{{.State.{field}}}}}", self.name).said

    def has_shell(self) -> bool:
        """Whether a shell can be run in it."""
        return self.podman.run("exec", self.name, "/bin/sh", "-c", "exit 0").code == 0

    def process(self) -> Path:
        """Return what this machine's kernel tells of its first process."""
        return Path("/proc", self.state("Pid"))

    def libraries(self) -> set[str]:
        """Return the files in the image whose machine code its first process has in memory."""
        lines = (self.process() / "maps").read_text("utf-8").splitlines()
        return {words[5] for line in lines if len(words := line.split()) > 5 and "x" in words[1]}

    def files_of(self, modules: list[str]) -> list[str]:
        """Return from which files the image's Python imports these modules."""
        code = f"import importlib; print(*[importlib.import_module(one).__file__ for one in {modules}])"
        answer = self.podman.run("exec", self.name, "/app/bin/python", "-c", code)
        assert answer.code == 0, answer.said
        return answer.said.splitlines()[-1].split()

    def freeze(self) -> None:
        """Let its first process do nothing more."""
        os.kill(int(self.state("Pid")), signal.SIGSTOP)

    def terminate(self) -> None:
        """Ask it to end, as kubelet does first."""
        asked = self.podman.run("kill", "--signal=TERM", self.name)
        assert asked.code == 0, asked.said

    def exit_code(self) -> str:
        """Wait for its end."""
        return self.podman.run("wait", self.name).said

    def log(self) -> str:
        """Return what it said."""
        return self.podman.run("logs", self.name).said


def write_kubeconfig(folder: Path) -> Path:
    """Write a kubeconfig whose server is not there; containers may read it."""
    path = folder / "away.kubeconfig"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n"
        "contexts: [{name: a, context: {cluster: a, user: a}}]\n"
        "clusters: [{name: a, cluster: {server: 'http://127.0.0.1:9'}}]\nusers: [{name: a, user: {}}]\n",
        "ascii",
    )
    path.chmod(0o644)
    return path
