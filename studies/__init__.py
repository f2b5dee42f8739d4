"""Experiments whose result is a page of docs, each one command."""
