"""Measuring how well policies do; training and compressing them happens elsewhere."""
