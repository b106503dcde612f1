"""What tables of other people's runs can carry: `audit.py` asks all of it."""
