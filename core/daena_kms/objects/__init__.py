"""Objects in a store with create-if-absent: what the audit log and the claims are made of."""
