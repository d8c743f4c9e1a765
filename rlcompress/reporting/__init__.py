"""Reads run directories and makes the page and the figures that people look at; trains nothing."""
