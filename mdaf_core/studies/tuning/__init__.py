"""Searches for settings at equal budgets, and the study that confirms what they found on fresh seeds."""
