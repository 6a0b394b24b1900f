"""In: the id of one record. Out: what becomes of it, told to a web page as it happens."""
