"""A run: look at the keys, plan, write the plan to the audit log, do it, write the results."""

# The function shadows the module of the same name as an attribute of this package, and only there:
# ``from daena_kms.engine.run import …`` finds the module.
from daena_kms.engine.run import run

__all__ = ["run"]
