"""Google Cloud's client for Secret Manager."""
