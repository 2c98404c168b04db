"""A folder as a store: SQLite and one master key."""
