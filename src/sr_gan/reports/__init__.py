"""What is written about runs and models: tables of scores."""
