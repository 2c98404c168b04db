"""The benchmarks: call counts and ratios, each taken within one run, against fixed targets."""

import os

# Read when gRPC is imported, whose own log says of every connection that it ends.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
