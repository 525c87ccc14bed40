"""Writes and reads back what a run leaves behind: folders, tables, checkpoints and weights.

This room may import ``networks``, ``images``, ``settings`` and the ground floor.
"""
