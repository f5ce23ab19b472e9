"""Planning: paths from a state to a goal, with direct actions and their causal effects."""
