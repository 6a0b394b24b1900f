"""Load: many records, many keys, many queues, much at once; `make load` plays all of it, `--small` a tenth and less."""
