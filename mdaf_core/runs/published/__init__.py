"""Results of others: tables of runs that were trained and evaluated elsewhere, known by their figures alone."""
