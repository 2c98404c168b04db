"""Events: what is told, where it may go, and that nobody has to wait for it."""
