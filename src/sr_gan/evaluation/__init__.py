"""Measures a model on a folder of photographs.

This room may import ``images``, ``runs``, ``metrics``, ``data``, ``inference`` and the ground
floor.
"""
