"""Learning rules from tables and from the predictions of models."""
