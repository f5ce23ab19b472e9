"""``python -m whyproof``: the command line."""

from __future__ import annotations

import sys

from whyproof.cli import main

if __name__ == "__main__":
    sys.exit(main())
