"""What histories, branches and the gate contribute, and g itself."""
