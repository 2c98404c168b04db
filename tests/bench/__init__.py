"""The benchmarks: call counts and ratios, each taken within one run, against fixed targets."""
