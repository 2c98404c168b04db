"""One small file per store: a handful of primitives over its SDK, and what it can't do."""
