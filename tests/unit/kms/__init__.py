"""Tests of `daena_kms.kms`."""
