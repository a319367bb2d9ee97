"""In what OpenAI-like servers differ from OpenAI, where a translated request has to mind it.

What passes as it is is the caller's own affair. Sources: Mistral's, DeepSeek's and Moonshot's API
documentation; issue threads on the strictness of Mistral's validation (all read 2026-11).
"""

import re
from typing import Final

from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.translate.draft import Destination, Draft

_MISTRAL: Final = "api.mistral.ai"
_WANTS_ITS_THOUGHTS: Final = re.compile(r"deepseek|kimi")
_NOT_AT_MISTRAL: Final = {"stream_options": None, "user": "metadata.user_id"}
"""Fields that it refuses as unknown, and by which name a caller knows them; its streams tell usage anyway."""


def mind_quirks(draft: Draft) -> None:
    """Take out of a finished chat request what the server refuses without need."""
    if _MISTRAL in draft.destination.base_url:
        for name, known_as in _NOT_AT_MISTRAL.items():
            if draft.body.pop(name, None) is not None and known_as is not None:
                draft.leave_out(known_as)


def wants_thoughts(destination: Destination) -> bool:
    """Whether the model refuses to go on after a tool's result without its own `reasoning_content`."""
    if destination.provider_type is not ProviderType.OPENAI_COMPATIBLE:
        return False
    return _WANTS_ITS_THOUGHTS.search(destination.model.lower()) is not None
