"""Tests of `daena_kms.objects`."""
