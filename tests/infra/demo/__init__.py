"""Tests of the demo, as a person runs it."""
