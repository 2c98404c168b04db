"""What is decided and why: words, forms and policy. Pure: no I/O, no clock, no environment."""
