"""Send one question to a sidecar and print the answer: what an application does, small enough to read.

    python -m cliproxy_dev.demo.ask openai http://127.0.0.1:8317 --model gpt-4o-mini "Say hello"

No provider key anywhere: the placeholder that SDKs insist on is sent, and the sidecar replaces it.
Exit code 0 for an answer, 1 for an error answer, 2 when nobody listens.
"""

import argparse
import json
import sys
from typing import Any

import httpx

PLACEHOLDER_KEY = "sk-placeholder"
SHOWN_HEADERS = ("x-cliproxy-provider", "x-cliproxy-model", "x-cliproxy-attempts", "retry-after")


def request_for(dialect: str, base_url: str, model: str, prompt: str, *, stream: bool) -> httpx.Request:
    """Return the HTTP request that the official SDK of this dialect would send."""
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    if stream:
        body["stream"] = True
    if dialect == "anthropic":
        body["max_tokens"] = 64
        headers = {"x-api-key": PLACEHOLDER_KEY, "anthropic-version": "2023-06-01"}
        return httpx.Request("POST", f"{base_url}/v1/messages", json=body, headers=headers)
    headers = {"authorization": f"Bearer {PLACEHOLDER_KEY}"}
    return httpx.Request("POST", f"{base_url}/v1/chat/completions", json=body, headers=headers)


def answer_text(body: dict[str, Any]) -> str:
    """Return the text of an answer or error of either dialect."""
    if "error" in body:
        return str(body["error"].get("message", body["error"]))
    if "choices" in body:
        return str(body["choices"][0]["message"]["content"])
    return "".join(block.get("text", "") for block in body.get("content", []))


def main() -> int:
    """Ask and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="ask", description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("dialect", choices=["openai", "anthropic"])
    parser.add_argument("url", help="the sidecar, such as http://127.0.0.1:8317")
    parser.add_argument("prompt")
    parser.add_argument("--model", required=True)
    parser.add_argument("--stream", action="store_true", help="print the events as they come")
    args = parser.parse_args()
    request = request_for(args.dialect, args.url.rstrip("/"), args.model, args.prompt, stream=args.stream)
    try:
        with httpx.Client(timeout=30.0, trust_env=False) as client:
            response = client.send(request, stream=True)
            print(f"HTTP {response.status_code}")
            for name in SHOWN_HEADERS:
                if name in response.headers:
                    print(f"{name}: {response.headers[name]}")
            if args.stream:
                for line in response.iter_lines():
                    print(line)
            else:
                response.read()
                print(answer_text(json.loads(response.content)))
    except httpx.TransportError as error:
        print(f"no answer from {args.url}: {error}", file=sys.stderr)
        return 2
    return 0 if response.is_success else 1


if __name__ == "__main__":
    sys.exit(main())
