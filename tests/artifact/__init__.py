"""Tests of the artifact: encodings, validation, files."""
