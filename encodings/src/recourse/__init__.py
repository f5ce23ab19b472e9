"""Exact recourse: nearest counterfactuals, conflicts of rules, pairs of people, group actions."""
