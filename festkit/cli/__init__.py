"""The command line: one file per group of commands; imports what a command needs when it runs."""
