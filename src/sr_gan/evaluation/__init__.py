"""Measures a model on a folder of photographs.

This room may import ``inference``, ``metrics``, ``data`` and what is below them.
"""
