"""``python -m whyproof.checker CERTIFICATE MODEL``: the checker on its own."""

from __future__ import annotations

import sys
from pathlib import Path

from .check import check_certificate
from .refusal import Refused


def main(arguments: list[str]) -> int:
    """Check one certificate; 0 if everything it claims is proved, 2 if not."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m whyproof.checker CERTIFICATE MODEL\n")
        return 2
    try:
        certificate, model = (Path(name) for name in arguments)
        verdict = check_certificate(certificate.read_text("utf-8"), model.read_bytes())
    except (OSError, UnicodeDecodeError, Refused) as reason:
        sys.stderr.write(f"refused: {reason}\n")
        return 2
    sys.stdout.write("\n".join(["proved:", *verdict.claims, *verdict.semantics]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
