"""Writes generators as files of other programs, proves each by running it, and describes them.

Each format is a module with the name that ``format=`` has: ``write(portable, folder)`` writes the
files, and ``load(files)`` opens them with the runtime of the format. Their packages are imported
inside these functions, as each format needs others. ``uses.py`` says who reads the files.
"""
