"""Strict local stand-ins for the clouds' stores, for tests and benchmarks."""
