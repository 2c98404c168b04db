"""Tests of `daena_kms.engine`."""
