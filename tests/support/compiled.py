"""Which tests cannot run on the compiled hot path (`make test-compiled`): they patch what is fixed there."""

from pathlib import Path
from typing import Final

import pytest

from cliproxy_sidecar.runtime import light

IS_COMPILED: Final = Path(light.__file__).suffix != ".py"
PATCHES_PARTS: Final = pytest.mark.skipif(
    IS_COMPILED, reason="patches constants or methods, which compiled code looks up no more"
)
