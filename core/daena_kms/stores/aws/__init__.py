"""Secrets Manager and KMS as a store."""
