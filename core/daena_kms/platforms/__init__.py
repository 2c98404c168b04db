"""The platforms that run the functions: their events and requests, their logs and metrics."""
