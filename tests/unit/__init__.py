"""Tests of one module each, and of the repository itself."""
