"""Starting a process without running the user's script in it again.

A spawned process imports the script that started the program, so that what is defined there
can be unpickled.  A script that calls us outside ``if __name__ == "__main__":`` would
therefore begin once more in every worker.  Hardly any job needs the script, and
one that does not never sees it here.
"""

from __future__ import annotations

import sys
from multiprocessing.process import BaseProcess
from threading import Lock
from types import ModuleType

__all__ = ["needs_script", "start_process"]

_LOCK = Lock()


def needs_script(content: bytes) -> bool:
    """Say whether a pickle refers to something that the user's script defines.

    Examples
    --------
    >>> import pickle
    >>> needs_script(pickle.dumps([1, 2, 3]))
    False
    """
    return b"__main__" in content


def start_process(process: BaseProcess, *, script: bool) -> None:
    """Start a process of the ``spawn`` kind.

    Parameters
    ----------
    process
        Not started yet.
    script
        Whether it imports the user's script first; see `needs_script`.
    """
    if script:
        process.start()
        return
    with _LOCK:
        users = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            process.start()
        finally:
            sys.modules["__main__"] = users
