"""Numbers about visual counterfactuals: do they flip, how far, how plausible, how varied."""
