"""Azure's SDK for Key Vault and for logins."""
