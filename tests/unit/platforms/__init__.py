"""Tests of `daena_kms.platforms`."""
