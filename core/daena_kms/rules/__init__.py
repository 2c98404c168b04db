"""Words, forms and policy: what is done with a key, and why. Pure: no I/O, clock or environment."""
