"""The command line: the same words as the library, results on stdout, the rest on stderr.

Exit codes: 0 answered, 1 internal error, 2 bad input (also a store that cannot be used
and a missing extra), 3 the budget ran out and partial results are kept, 130 stopped by
Ctrl-C, with what was found before it kept.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    arguments
        Without the program's name; those of the process by default.
    """
    from .failures import run

    return run(list(sys.argv[1:] if arguments is None else arguments))
