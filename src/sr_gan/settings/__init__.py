"""Turns ``KEY=VALUE`` on a command line into objects, or into one line that says what is wrong.

Nothing here imports PyTorch before the types of all settings have been checked, so that ``--help``
and most mistakes take less than a second. This room may import only the ground floor.
"""
