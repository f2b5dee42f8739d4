"""The command line: one file per group of commands. Imports happen when a command runs."""
