"""In: predicates and time. Out: the work that any one process may do for all."""
