"""The benchmark of the library: `make bench` measures this machine, beside what SQLite alone can do on it."""
