"""The tests of rlcompress, laid out as the package is."""
