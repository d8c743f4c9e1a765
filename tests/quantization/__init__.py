"""Tests of fake quantisation: arithmetic, ranges, tracing, and networks that are turned into it."""
