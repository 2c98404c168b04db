"""The HTTP API apart from any platform, over the local store and a log in memory."""
