"""Gets the archives of data sets: downloads, verifies and unpacks them."""
