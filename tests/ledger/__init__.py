"""The ledger: real processes, real faults, and a proof from the outside that no record was lost and none ended twice.

`make test-faults` plays the scenarios. Read `scenarios` (what is played), `faults` (what is broken), `checker` (what
must hold); `stage` starts the processes, `stores` the databases, `evidence` gathers what was written down.
"""
