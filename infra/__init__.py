"""What deploys, packs, runs and shows the functions; nothing of it is in the wheel."""
