"""Secret Manager as a store."""
