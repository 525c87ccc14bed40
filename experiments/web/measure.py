"""Measures an exported page in headless Chromium: speed and memory by the size of its tiles.

python experiments/web/measure.py PAGE PHOTO THREADS TILE [TILE ...]

PAGE is the folder that ``export format=web`` wrote, and THREADS is 1 or 2. Each size of tiles is
measured three times, in turn; the medians are printed.
"""

import re
import statistics
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

from sr_gan.serve import listen

RUNS = 3


def memory() -> int:
    """Returns the bytes of the largest process below this one: that of the page."""
    sizes = [0]
    for process in psutil.Process().children(recursive=True):
        try:
            sizes.append(process.memory_info().rss)
        except psutil.NoSuchProcess:
            continue
    return max(sizes)


def enlarge(page: Page, address: str, photo: str) -> tuple[float, int]:
    """Returns megapixels of the result a second, and the largest memory."""
    page.goto(address)
    page.set_input_files("#files", photo)
    peak = 0
    while not page.query_selector("#jobs :is(.done, .failed)"):
        peak = max(peak, memory())
        time.sleep(0.2)
    said = page.text_content("#backend") or ""
    return float(re.search(r"at ([\d.]+) megapixels a second", said)[1]), peak


def main() -> None:
    folder, photo, threads, *tiles = sys.argv[1:]
    found = defaultdict(list)
    server = listen(Path(folder), "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        for tile in tiles * RUNS:
            query = f"?backend=wasm&threads={threads}&tile={tile}"
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox"]
            )
            address = f"http://localhost:{server.server_port}/{query}"
            found[tile].append(enlarge(browser.new_page(), address, photo))
            browser.close()
            print(tile, *found[tile][-1], flush=True)
    for tile, runs in found.items():
        speeds, peaks = zip(*runs)
        print(
            f"tile {tile}, threads {threads}: {statistics.median(speeds)} MP/s {sorted(speeds)}, "
            f"{statistics.median(peaks) / 1e6:.0f} MB"
        )


if __name__ == "__main__":
    main()
