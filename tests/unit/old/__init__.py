"""A store and its audit log as an older version left them; see :mod:`tests.unit.old.make`."""
