"""All minimal sets of both kinds: map solver, MARCO, hitting-set dualisation."""
