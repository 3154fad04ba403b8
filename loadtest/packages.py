"""The packages of the extra `loadtest`, which a machine that only trains or serves does without."""

from __future__ import annotations

import importlib.util

from loadtest.errors import LoadTestError


def require(*names: str) -> None:
    """Raises LoadTestError naming the packages that are not installed."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise LoadTestError(
            f"not installed here: {', '.join(missing)}; "
            "install the extra: pip install 'torchserve-text-bundle[loadtest]'"
        )
