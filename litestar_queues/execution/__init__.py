"""In: a claim. Out: an outcome; where code runs."""
