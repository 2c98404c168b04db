"""AWS on this machine: ministack, and a strict simulator."""
