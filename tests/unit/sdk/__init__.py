"""Tests of `daena_kms.sdk`."""
