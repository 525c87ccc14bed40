"""The shipped models: weights beside this file, and what each of them is for."""

PURPOSES = {
    "gan": "for clean downscaled photographs: sharp, and invents texture",
    "psnr": "for the same: closest to the original on average, but smooth",
}
