"""From ``KEY=VALUE`` on a command line to objects, or to one line that says what is wrong.

Nothing in this room imports PyTorch before the types of all settings have been checked, so that
``--help`` and most mistakes take less than a second. It may import ``errors``, ``files`` and
``machine``.
"""
