"""Tests of rlcompress.runtime."""
