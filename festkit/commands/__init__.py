"""Commands of the command line that come in groups: those on tables, and those on the zoo."""
