"""The clouds' own SDKs: clients, logins and errors, one folder for each cloud."""
