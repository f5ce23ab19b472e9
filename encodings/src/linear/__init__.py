"""Additive classifiers: linear models and naive Bayes, decided in closed form."""
