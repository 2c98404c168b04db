"""The clouds that run on this machine."""
