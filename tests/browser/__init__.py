"""Tests that drive a real JupyterLab and a real Voila in a real Chromium.

A package, so that Playwright, whose event loop is in the way of everything else that has one, ends
with the last of these tests.
"""
