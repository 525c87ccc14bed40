import pytest

from sr_gan.images.pixels import colour_channels


@pytest.mark.parametrize(("channels", "colours"), [(1, 1), (2, 1), (3, 3), (4, 3)])
def test_alpha_is_no_colour(channels: int, colours: int) -> None:
    assert colour_channels(channels) == colours
