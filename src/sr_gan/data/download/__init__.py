"""Fetches data sets: this room downloads their archives, verifies them and unpacks them."""
