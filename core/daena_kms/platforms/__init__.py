"""The platforms that run the functions: their events, requests, logs and metrics."""
