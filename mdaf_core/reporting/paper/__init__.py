"""What a study gives to a paper: tables, the results paragraph, and all of it as files."""
