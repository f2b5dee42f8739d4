"""Helpers that know nothing of infrared targets: files, locks, names, progress, devices, jit."""
