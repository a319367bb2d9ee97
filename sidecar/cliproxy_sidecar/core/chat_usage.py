"""The usage object of OpenAI-like chat answers, decoded straight into numbers: nearly every answer has one.

Only for the quick look of `glance`: what does not fit these types is left to `usage`, which forgives more.
"""

from typing import Annotated

import msgspec

from cliproxy_sidecar.core.usage import MAX_TOKENS, Usage, parted

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_TOKENS)]


class Before(msgspec.Struct, gc=False):
    """Of the prompt."""

    cached_tokens: Count = 0
    cache_write_tokens: Count = 0


class After(msgspec.Struct, gc=False):
    """Of the completion."""

    reasoning_tokens: Count = 0


class ChatUsage(msgspec.Struct, gc=False):
    """See `usage._openai`."""

    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    total_tokens: Count = 0
    prompt_cache_hit_tokens: Count = 0
    prompt_tokens_details: Before | None = None
    completion_tokens_details: After | None = None

    def told(self) -> Usage | None:
        """Return it in disjoint buckets; None: it tells nothing."""
        prompt, completion, total = self.prompt_tokens, self.completion_tokens, self.total_tokens
        if not (prompt or completion or total):
            return None
        before, after = self.prompt_tokens_details, self.completion_tokens_details
        return parted(
            prompt,
            completion,
            total,
            cached=(0 if before is None else before.cached_tokens) or self.prompt_cache_hit_tokens,
            written=0 if before is None else before.cache_write_tokens,
            reasoning=0 if after is None else after.reasoning_tokens,
        )
