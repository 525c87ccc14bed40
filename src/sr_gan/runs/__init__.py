"""What a run leaves behind, written and read back here: folders, tables, checkpoints and weights.

This room may import ``networks``, ``images``, ``settings`` and the ground floor.
"""
