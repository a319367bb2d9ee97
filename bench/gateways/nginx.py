"""nginx as the fastest provider there is: a fixed answer to everything, from a configuration of our own."""

from pathlib import Path

from gateways import payload

DEBIAN_PACKAGES = ("nginx",)


def config(home: Path, port: int) -> str:
    """Return a configuration that touches nothing outside `home`, for one process in the foreground."""
    text = payload.answer().decode()
    if "'" in text or "$" in text or "\\" in text:
        raise ValueError("the answer cannot be written between nginx's quotes")
    temporary = "".join(
        f"  {kind}_temp_path {home};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off; master_process off; pid {home}/pid; error_log {home}/error.log;\n"
        "events { worker_connections 4096; }\n"
        "http {\n"
        f"  access_log off; keepalive_requests 1000000000; default_type application/json;\n{temporary}"
        f"  server {{ listen 127.0.0.1:{port} backlog=2048; location / {{ return 200 '{text}'; }} }}\n"
        "}\n"
    )


def command(program: Path, home: Path) -> tuple[str, ...]:
    """Return nginx's command line; `config` stands in `home/nginx.conf`."""
    return (str(program), "-p", str(home), "-c", str(home / "nginx.conf"), "-e", str(home / "error.log"))
