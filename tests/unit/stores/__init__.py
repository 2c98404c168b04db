"""Tests of what the stores have in common, and of each store without its cloud."""
