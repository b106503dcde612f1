"""Configurations beside one another: means, differences, verdicts, seeds, what a difference takes."""
