"""Finds, reads and writes image files, and resizes their pixels exactly as MATLAB does.

This room may import the ground floor only.
"""
