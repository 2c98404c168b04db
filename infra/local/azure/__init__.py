"""Azure on this machine: azurite, Microsoft's worker library, and a strict simulator."""
