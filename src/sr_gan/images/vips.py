"""libvips as this package uses it: ``from sr_gan.images.vips import pyvips``."""

import logging

from sr_gan.errors import UserError

try:
    import pyvips
except OSError as error:
    raise UserError("the library libvips is missing: pip install 'pyvips[binary]'") from error

__all__ = ["pyvips"]

pyvips.cache_set_max(0)  # or a file that has changed would be read from libvips' cache
for name in ("pyvips", "PIL"):  # what they log either raises an error or does no harm
    logging.getLogger(name).setLevel(logging.CRITICAL)
