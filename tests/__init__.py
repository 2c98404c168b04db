"""Tests of daena-kms: run them with `make test`."""
