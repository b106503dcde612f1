"""A trained run, used: predictions of new rows, and models that are saved and loaded without the run store."""
