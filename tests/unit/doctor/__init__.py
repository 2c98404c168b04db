"""The doctor on every store: everything well, and each thing broken by itself."""
