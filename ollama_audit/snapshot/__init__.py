"""What was read from one host: immutable records, no I/O and no judgement."""
