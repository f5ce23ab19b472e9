"""The rules of the product: one syntax tree, every dialect in and out.

Glossary
--------
literal
    One feature compared with a value or a set of values; its complement holds exactly
    where it does not.
body
    Literals that must hold and exceptions (bodies in turn) that must not.
rule
    A head, itself a literal, that follows when a body holds.
rule set
    An ordered list of rules for one target: the first that fires decides.
support
    Rows that a rule decided and how many of them rightly, with Wilson's interval.
table
    Named columns as rules see them: numbers, names, both, and missing values.
"""

from __future__ import annotations

from .literal import Literal, Operator
from .position import Position, RuleError
from .read import read_heads, read_rules
from .rule import Body, Rule, RuleSet
from .support import Support
from .table import Column, Table
from .values import Value

__all__ = [
    "Body",
    "Column",
    "Literal",
    "Operator",
    "Position",
    "Rule",
    "RuleError",
    "RuleSet",
    "Support",
    "Table",
    "Value",
    "read_heads",
    "read_rules",
]
