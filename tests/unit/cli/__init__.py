"""Tests of the command line, and of what the documents say about it."""
