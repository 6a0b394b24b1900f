"""What the cluster tests stand on: the cluster, waits with names, an app and a database."""
