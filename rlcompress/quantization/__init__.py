"""Fake quantisation of torch networks; importing the package itself loads nothing."""
