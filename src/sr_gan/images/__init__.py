"""Finds, reads and writes image files, and resizes their pixels exactly as MATLAB does."""
