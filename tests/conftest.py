"""Settings of the whole test run."""

from __future__ import annotations

import os

from hypothesis import settings

# Tests never assert times: a loaded machine must not fail one.
settings.register_profile("repeatable", deadline=None, derandomize=True)
# The same tests on new random cases each time; what they find becomes a regression test.
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
