"""The same faults for other libraries and for this one, side by side; `python -m tests.bench.ledger`, three minutes."""
