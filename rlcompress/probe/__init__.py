"""Measures how fast policies run, in this package's runtimes and in others'; trains nothing."""
