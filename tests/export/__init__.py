"""Tests of rlcompress.export."""
