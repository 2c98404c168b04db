"""Key Vault as a store."""
