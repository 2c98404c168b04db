"""One suite of cases that every store passes."""
