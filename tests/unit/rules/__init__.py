"""Tests of `daena_kms.rules`."""
