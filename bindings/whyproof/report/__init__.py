"""Explanations for people: sentences, and one self-contained page for a whole audit."""

from __future__ import annotations

from .html import explanation_html, report_html, write_report
from .view import ExplanationView, Subject, view_of
from .words import caveat, guarantee, sentence, witness

__all__ = [
    "ExplanationView",
    "Subject",
    "caveat",
    "explanation_html",
    "guarantee",
    "report_html",
    "sentence",
    "view_of",
    "witness",
    "write_report",
]
