"""Image files and their pixels: found, read, resized exactly, and written as their rows come.

This room may import ``errors`` and ``files`` only.
"""
