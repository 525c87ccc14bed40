"""The damage that cameras, editors and web sites do to photos, computed on batches on the device.

Images are (B, 3, H, W) in levels 0 to 255 unless a docstring says otherwise. Each image gets its
own settings. Everything random is drawn from a ``torch.Generator`` on the device of the images.
"""

from sr_gan.data.degradation.degrade import Degradation, Exact
from sr_gan.data.degradation.kinds import Kinds
from sr_gan.data.degradation.passes import Pass
from sr_gan.data.degradation.resize import RandomResize

__all__ = ["Degradation", "Exact", "Kinds", "Pass", "RandomResize"]
