"""The one set of test worlds."""
