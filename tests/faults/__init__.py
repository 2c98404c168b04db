"""What must hold when a call fails, an answer is lost or a process dies."""
