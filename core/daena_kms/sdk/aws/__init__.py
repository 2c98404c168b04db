"""AWS's SDK (botocore)."""
