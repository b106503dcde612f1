"""Training and validation by epoch, and how they come apart."""
