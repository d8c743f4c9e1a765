"""Searches for compressed policies: runs of training that Optuna chooses."""
