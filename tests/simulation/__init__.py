"""Histories of many faults at once, on a simulated clock, held against an independent model."""
