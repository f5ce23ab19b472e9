"""Networks that bridges and classifiers run on."""
