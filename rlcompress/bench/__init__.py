"""Benchmarks against the best public tools, in one run, as ratios; entry points lie in here."""
