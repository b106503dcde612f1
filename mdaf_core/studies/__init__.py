"""A study = data set × named configurations × seeds."""
