"""Tests of `daena_kms.stores`."""
