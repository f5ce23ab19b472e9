"""One way to write a value as JSON, so that equal records have equal bytes and hashes.

Canonical JSON here: UTF-8, keys sorted, no blanks, shortest round-trip numbers (as
Python writes them), NaN as null, infinities as the strings ``inf`` and ``-inf``, any
other object as its text.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import cast

__all__ = ["GENESIS", "canonical", "chained", "digest", "jsonable"]

GENESIS = "0" * 64
"""The hash before the first record of a chain."""


def jsonable(value: object) -> object:
    """Return a value made of what strict JSON knows.

    Examples
    --------
    >>> jsonable({"a": (1, float("nan")), "b": float("inf")})
    {'a': [1, None], 'b': 'inf'}
    """
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", 0) == 0:
        value = item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        entries = cast("Mapping[object, object]", value)
        return {str(key): jsonable(entry) for key, entry in entries.items()}
    if isinstance(value, list | tuple):
        return [jsonable(entry) for entry in cast("list[object]", value)]
    if isinstance(value, set | frozenset):
        return [jsonable(entry) for entry in sorted(cast("set[object]", value), key=str)]
    listed = getattr(value, "tolist", None)
    return jsonable(listed()) if callable(listed) else str(value)


def canonical(value: object) -> str:
    """Write a value as canonical JSON.

    Examples
    --------
    >>> canonical({"b": 1.0, "a": [True, None]})
    '{"a":[true,null],"b":1.0}'
    """
    return json.dumps(
        jsonable(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: object) -> str:
    """Return ``sha256:`` and the hash of a value's canonical JSON."""
    return f"sha256:{hashlib.sha256(canonical(value).encode()).hexdigest()}"


def chained(previous: str, payload: str) -> str:
    """Return the hash of a record: SHA-256 of the previous hash, a line feed and its JSON.

    Parameters
    ----------
    previous
        Hash of the record before, 64 hexadecimal digits; `GENESIS` for the first.
    payload
        Canonical JSON of the record.

    Examples
    --------
    >>> chained(GENESIS, "{}") == chained(GENESIS, "{ }")
    False
    """
    return hashlib.sha256(f"{previous}\n{payload}".encode()).hexdigest()
