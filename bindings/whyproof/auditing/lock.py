"""One audit at a time writes to a store; a lock that ends with the process that holds it."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from whyproof.engine.errors import StoreError

__all__ = ["held"]


@contextmanager
def held(store: str | Path) -> Generator[None]:
    """Hold the lock of a store, a file beside it; killed, the process lets go of it.

    Raises
    ------
    StoreError
        If another audit holds it.
    """
    path = Path(store)
    path = path.with_name(f".{path.name}.lock")
    try:
        descriptor = _locked(path)
    except OSError:
        # A folder that cannot be written is the store's to complain about.
        yield
        return
    if descriptor is None:
        raise StoreError(
            f"the store {store} is in use by another audit ({_holder(path)}); wait for it, stop "
            "it, or audit into another store and join them with: whyproof store merge"
        )
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(path: Path) -> int | None:
    """Open and lock the file; `None` if somebody else holds it."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system: opening it alone has to do
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        # Its holder may have removed it between our opening and our locking it.
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() or "it does not say which"
    except OSError:
        return "it does not say which"
