"""Token counts as each format tells them.

OpenAI's prompt includes what was read from and written to a cache, Anthropic's input does not; the outputs of
both include reasoning. Sources: OpenAI API reference, completion usage; Anthropic API documentation, usage
(both read 2026-11). Accounting is `core.usage`'s, from the provider's own figures.
"""

from cliproxy_sidecar.core.translate.fields import Object, count, inner


def usage_to_chat(usage: object) -> Object:
    """Return OpenAI's figures for Anthropic's."""
    read = count(inner(usage, "cache_read_input_tokens"))
    written = count(inner(usage, "cache_creation_input_tokens"))
    prompt = count(inner(usage, "input_tokens")) + read + written
    completion = count(inner(usage, "output_tokens"))
    reasoning = count(inner(usage, "output_tokens_details", "thinking_tokens"))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def usage_to_messages(usage: object) -> Object:
    """Return Anthropic's figures for OpenAI's.

    DeepSeek names the cached part differently; Gemini and xAI count reasoning beside the completion, which
    the total shows.
    """
    prompt = count(inner(usage, "prompt_tokens"))
    completion = count(inner(usage, "completion_tokens"))
    hit = count(inner(usage, "prompt_cache_hit_tokens"))
    read = min(count(inner(usage, "prompt_tokens_details", "cached_tokens")) or hit, prompt)
    written = min(count(inner(usage, "prompt_tokens_details", "cache_write_tokens")), prompt - read)
    beside = max(count(inner(usage, "total_tokens")) - prompt - completion, 0)
    reasoning = count(inner(usage, "completion_tokens_details", "reasoning_tokens")) or beside
    found: Object = {
        "input_tokens": prompt - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": completion + beside,
    }
    if reasoning:
        found["output_tokens_details"] = {"thinking_tokens": min(reasoning, completion + beside)}
    return found
