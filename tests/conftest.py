"""Settings of the whole test run."""

from __future__ import annotations

from hypothesis import settings

# Tests never assert times: a loaded machine must not fail one.
settings.register_profile("whyproof", deadline=None)
settings.load_profile("whyproof")
