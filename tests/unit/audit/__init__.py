"""Tests of `daena_kms.audit`."""
