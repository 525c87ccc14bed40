"""The shipped models: weights beside this file, and what each of them is for."""

PURPOSES = {
    "gan": "for clean photographs that were made smaller: sharp, and invents texture",
    "psnr": "for the same, where every pixel is to be right on average: smooth",
}
