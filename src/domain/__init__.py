"""What is true, and who may decide it: pure, with no I/O, clock or randomness."""
