"""An independent checker of certificates: small enough to read, and nothing but checks.

It imports nothing else of Whyproof and can be copied out of it: it reads the model file by
itself, computes in exact rationals, and never searches.

Glossary
--------
certificate
    A file with decisions of one model and claims about them; see ``docs/certificates.md``.
claim
    "Fixing these features forces the decision" (AXp), "freeing these lets it change" (CXp),
    and that no element can be left out.
box
    For each column the cells that it may take; a cell is what no test of the model separates.
slack
    What floating-point sums can blur; sums decide only beyond it.
"""

from __future__ import annotations

from .check import check_certificate
from .refusal import Refused
from .verdict import Verdict

__all__ = ["Refused", "Verdict", "check_certificate"]
