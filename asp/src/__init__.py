"""Causal worlds: the rule language, the rule learner, the planner, justifications."""
