"""What cameras, editors and web sites do to photos, batched on the device.

Images are (B, 3, H, W) in levels 0 to 255 unless a docstring says otherwise. Each draws its own
settings, and all that is drawn comes from a ``torch.Generator`` that lives on their device.
"""

from sr_gan.data.degradation.degrade import Degradation, Exact
from sr_gan.data.degradation.kinds import Kinds
from sr_gan.data.degradation.passes import Pass
from sr_gan.data.degradation.resize import RandomResize

__all__ = ["Degradation", "Exact", "Kinds", "Pass", "RandomResize"]
