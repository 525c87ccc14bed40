"""The page of ``format=web`` in headless Chromium: what a visitor does, and what comes out."""

import io
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from skimage import data

from sr_gan import Upscaler
from sr_gan.errors import UserError
from sr_gan.exports.portable import Portable
from sr_gan.exports.proven import export
from sr_gan.exports.web_runtime import obtain
from sr_gan.inference.pretrained import Pretrained
from sr_gan.networks import CompactNet
from sr_gan.runs.weights import save_generator
from sr_gan.serve import listen
from sr_gan.settings.options import Options

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.slow
Open = Callable[..., Any]

TILE = 48  # pixels; small, so that a small photo has many
WASM = f"?backend=wasm&tile={TILE}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    """A small network whose details are strong, and depend on seven pixels to each side."""
    torch.manual_seed(3)
    generator = CompactNet(4, filters=8, blocks=5)
    with torch.no_grad():
        generator.body[-1].weight.mul_(4)  # type: ignore[operator]
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    config = {"_target_": "sr_gan.networks.CompactNet", "scale": 4, "filters": 8, "blocks": 5}
    save_generator(generator, config, path)
    return Pretrained("small", generator.eval(), path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model: Pretrained) -> Path:
    output = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SR_GAN_CACHE", raising=False)  # npm need not fetch it for every run of tests
        try:
            archive = obtain()
        except UserError as error:
            pytest.skip(str(error))
    obtain(str(archive))
    export(Portable(model), "web", output)
    return output


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with listen(folder, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    # A processor stands in for a GPU, which the page leaves alone with backend=wasm.
    webgpu = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]
    arguments = ["--no-sandbox", "--enable-unsafe-swiftshader", *webgpu, "--enable-features=Vulkan"]
    with playwright.sync_playwright() as driver:
        try:
            chromium = driver.chromium.launch(executable_path=found, args=arguments)
        except playwright.Error:
            pytest.skip("there is no Chromium here: install Debian's chromium, or Chrome")
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Open]:
    """Opens the page; no error may happen, and no request may leave the server."""
    contexts, wrong = [], []

    def note(request: Any) -> None:
        if not request.url.startswith((address, "blob:")):
            wrong.append(request.url)

    def open_page(query: str = WASM, at: str = address, **settings: Any) -> Any:
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        if at == address:
            page.on("request", note)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(at + query)
        page.wait_for_selector("#drop:not([hidden])")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def photo(height: int, width: int) -> Image.Image:
    return Image.fromarray(data.astronaut()[60 : 60 + height, 180 : 180 + width])


def as_file(image: Image.Image, form: str = "PNG", **settings: Any) -> dict[str, Any]:
    buffer = io.BytesIO()
    image.save(buffer, form, **settings)
    kind = f"image/{form.lower()}"
    return {"name": f"my photo.{form.lower()}", "mimeType": kind, "buffer": buffer.getvalue()}


def result(page: Any, number: int = 0) -> Image.Image:
    """Waits for a photo, and opens the PNG file that is downloaded."""
    page.wait_for_selector(f"#jobs li:nth-child({number + 1}):is(.done, .failed)", timeout=120_000)
    with page.expect_download() as download:
        page.locator("#jobs li").nth(number).get_by_role("link").click()
    assert download.value.suggested_filename == "my photo-x4.png"
    return Image.open(download.value.path())


def transparent(image: Image.Image) -> Image.Image:
    """Adds an alpha channel with a hard edge, a ramp, and hidden colours."""
    height, width = image.height, image.width
    alpha = np.tile(np.linspace(-60, 320, width).clip(0, 255), (height, 1))
    alpha[: height // 3, : width // 2] = 255
    image.putalpha(Image.fromarray(alpha.astype(np.uint8)))
    return image


def faded(image: Image.Image) -> Image.Image:
    image.putalpha(100)
    return image


PHOTOS: dict[str, Callable[[], Image.Image]] = {
    "tiles": lambda: photo(101, 133),
    "smaller than a tile": lambda: photo(37, 29),
    "narrow": lambda: photo(150, 17),
    "as a tile": lambda: photo(TILE, TILE),
    "one more than a tile": lambda: photo(TILE, TILE + 1),
    "a pixel": lambda: photo(1, 1),
    "grey": lambda: photo(60, 70).convert("L"),
    "transparent": lambda: transparent(photo(64, 90)),
    "transparent grey": lambda: transparent(photo(40, 70).convert("L")),
    "equally transparent": lambda: faded(photo(50, 60)),
}


@pytest.mark.parametrize("kind", PHOTOS)
def test_the_pixels_are_those_of_upscale(opened: Open, model: Pretrained, kind: str) -> None:
    image = PHOTOS[kind]()
    page = opened()
    page.set_input_files("#files", as_file(image))
    made = result(page)
    expected = Upscaler(model, Options(precision="fp32"))(image)
    assert made.mode == expected.mode
    assert differ(made, expected) <= 2
    if min(image.size) > 1:
        plain = image.resize(expected.size, Image.Resampling.NEAREST)
        assert np.abs(np.asarray(plain, float) - np.asarray(expected)).mean() > 3  # it shows


def test_webgpu_makes_the_same_pixels(opened: Open, model: Pretrained) -> None:
    page = opened(f"?tile={TILE}")
    if not page.evaluate("(async () => !!(await navigator.gpu?.requestAdapter()))()"):
        pytest.skip("this Chromium has no WebGPU without a GPU")
    image = photo(60, 50)
    page.set_input_files("#files", as_file(image))
    made = result(page)
    assert page.text_content("#backend").startswith("Ran on WebGPU: 0.048 megapixels at ")
    assert differ(made, Upscaler(model, Options(precision="fp32"))(image)) <= 2


def test_where_webgpu_fails_webassembly_goes_on(opened: Open) -> None:
    page = opened(f"?tile={TILE}")
    if not page.evaluate("(async () => !!(await navigator.gpu?.requestAdapter()))()"):
        pytest.skip("this Chromium has no WebGPU without a GPU")
    page.route("**/ort.webgpu.min.mjs", lambda route: route.abort())
    page.set_input_files("#files", as_file(photo(20, 30)))
    assert result(page).size == (120, 80)
    said = page.text_content("#backend")
    assert re.match(r"Ran on WebAssembly, .*WebGPU failed: Failed to fetch", said)


def test_a_jpeg_is_turned_upright(opened: Open, model: Pretrained) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image = photo(60, 90)
    page = opened()
    page.set_input_files("#files", as_file(image, "JPEG", quality=98, subsampling=0, exif=exif))
    made = result(page)
    decoded = Image.open(io.BytesIO(as_file(image, "JPEG", quality=98, subsampling=0)["buffer"]))
    turned = decoded.transpose(Image.Transpose.ROTATE_270)
    assert made.size == (240, 360)
    assert differ(made, Upscaler(model, Options(precision="fp32"))(turned)) <= 2


def differ(a: Image.Image, b: Image.Image) -> int:
    """The largest difference in grey levels."""
    return int(np.abs(np.asarray(a).astype(int) - np.asarray(b)).max())


def test_a_file_that_is_no_image_and_a_photo_after_it(opened: Open) -> None:
    page = opened()
    wrong = {"name": "notes.png", "mimeType": "image/png", "buffer": b"some text"}
    page.set_input_files("#files", [wrong, as_file(photo(20, 30))])
    page.wait_for_selector("#jobs .failed")
    said = page.text_content("#jobs .failed .say")
    assert said.startswith("This file (image/png) is not an image that your browser can read")
    assert result(page, 1).size == (120, 80)
    assert "notes.png" not in page.text_content("#status")  # which says the last news


def test_photos_one_after_the_other_and_one_more_later(opened: Open) -> None:
    page = opened()
    page.set_input_files("#files", [as_file(photo(40, 50)), as_file(photo(30, 20))])
    assert [result(page, n).size for n in range(2)] == [(200, 160), (80, 120)]
    page.set_input_files("#files", as_file(photo(10, 10)))
    assert result(page, 2).size == (40, 40)
    page.get_by_role("button", name="Remove").first.click()
    assert page.locator("#jobs li").count() == 2


def test_a_pasted_and_a_dropped_photo(opened: Open) -> None:
    page = opened()
    for event in ("paste", "drop"):
        page.evaluate(
            """async (event) => {
              const canvas = new OffscreenCanvas(12, 8);
              canvas.getContext('2d').fillRect(0, 0, 12, 8);
              const transfer = new DataTransfer();
              transfer.items.add(new File([await canvas.convertToBlob()], 'my photo.png'));
              document.body.dispatchEvent(event === 'paste'
                ? new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true})
                : new DragEvent('drop', {dataTransfer: transfer, bubbles: true}));
            }""",
            event,
        )
    assert [result(page, n).size for n in range(2)] == [(48, 32), (48, 32)]


def test_cancelling_begins_the_next_photo(opened: Open) -> None:
    page = opened()
    large = as_file(photo(400, 300).resize((1500, 1500)))
    page.set_input_files("#files", [large, as_file(photo(20, 30))])
    page.get_by_text(" left; ").wait_for()
    said = page.locator(".say").first.text_content()
    assert re.fullmatch(r"\d+ %, about .* left; \S+ megapixels a second", said)
    page.get_by_role("button", name="Cancel").first.click()
    assert page.text_content("#status") == "my photo.png was cancelled."
    assert result(page).size == (120, 80)


def test_on_a_phone_nothing_is_wider_than_the_screen(opened: Open) -> None:
    page = opened(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page.set_input_files("#files", [as_file(photo(90, 120)), as_file(photo(20, 30))])
    for _ in range(2):
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert result(page, 1).size == (120, 80)
    small = page.evaluate(
        """[...document.querySelectorAll('button, .button')]
           .filter((each) => each.offsetHeight < 40).map((each) => each.outerHTML)"""
    )
    assert small == []


def test_slider_zoom_and_keys(opened: Open) -> None:
    page = opened(viewport={"width": 1000, "height": 870})
    page.set_input_files("#files", as_file(photo(200, 300)))
    result(page)
    percent = lambda: page.wait_for_timeout(100) or page.text_content("#percent")  # noqa: E731
    colour = lambda x, y: tuple(pixel(page, x, y))  # noqa: E731
    page.evaluate("scrollTo(0, 0)")  # where the download was clicked is further down
    box = page.locator("#view").bounding_box()
    middle = box["y"] + box["height"] / 4
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 100, middle, steps=3)
    page.mouse.up()
    assert float(page.input_value("#divider")) == pytest.approx(1e4 / box["width"], abs=0.6)
    fitted = percent()
    page.locator("#view").focus()
    page.keyboard.press("+")
    zoomed = percent()
    assert int(zoomed[:-2]) == pytest.approx(1.5 * int(fitted[:-2]), abs=1)
    before = colour(600, 200)
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(100)
    assert colour(660, 200) == before  # it moved by 60 pixels
    page.keyboard.press("0")
    assert percent() == fitted
    page.get_by_role("button", name="100 %").click()
    assert percent() == "100 %"
    page.mouse.move(box["x"] + 500, middle)
    page.mouse.wheel(0, -300)
    assert int(percent()[:-2]) > 150


def pixel(page: Any, x: int, y: int) -> list[int]:
    return page.evaluate(  # type: ignore[no-any-return]
        "([x, y]) => [...view.getContext('2d').getImageData(x, y, 1, 1).data]", [x, y]
    )


@pytest.mark.parametrize("ratio", [1, 2])
def test_a_tiny_photo_is_zoomed_from_one_to_one_to_the_whole_canvas(
    opened: Open, ratio: int
) -> None:
    page = opened(viewport={"width": 1000, "height": 800}, device_scale_factor=ratio)
    page.set_input_files("#files", as_file(photo(10, 10)))
    result(page)
    percent = lambda: page.wait_for_timeout(100) or int(page.text_content("#percent")[:-2])  # noqa: E731
    fitted = percent()
    assert fitted > 800 * ratio
    page.get_by_role("button", name="Zoom in").click()
    assert percent() == fitted
    page.get_by_role("button", name="100 %").click()
    assert percent() == 100
    page.get_by_role("button", name="Zoom in").click()
    assert percent() == 150


def test_only_the_first_button_moves_the_divider(opened: Open) -> None:
    page = opened()
    page.set_input_files("#files", as_file(photo(40, 60)))
    result(page)
    for button, moved in (("right", False), ("left", True)):
        page.locator("#view").click(button=button, position={"x": 50, "y": 50})
        assert (float(page.input_value("#divider")) < 20) == moved


def test_tiles_are_never_too_small(opened: Open, model: Pretrained) -> None:
    image = photo(60, 50)
    page = opened("?backend=wasm&tile=8")
    page.set_input_files("#files", as_file(image))
    assert differ(result(page), Upscaler(model, Options(precision="fp32"))(image)) <= 2


def test_no_more_tiles_are_decoded_than_are_held(opened: Open) -> None:
    """Four tiles of 9 megapixels, of which two may be held."""
    decoded = opened().evaluate(
        """async () => {
          const {Tiles} = await import('./view_tiles.js');
          const canvas = new OffscreenCanvas(1, 1), decode = createImageBitmap;
          canvas.getContext('2d');
          const picture = await canvas.convertToBlob();
          const rest = () => new Promise((done) => setTimeout(done, 300));
          let count = 0, together = 0, most = 0;
          window.createImageBitmap = async (...given) => {
            count += 1;
            most = Math.max(most, ++together);
            return decode(...given).finally(() => { together -= 1; });
          };
          const context = document.createElement('canvas').getContext('2d');
          const part = {left: 0, top: 0, right: 6000, bottom: 6000};
          const tiles = new Tiles(() => tiles.draw(context, part, 1));
          tiles.reset({width: 6000, height: 6000});
          for (const [x, y] of [[0, 0], [3000, 0], [0, 3000], [3000, 3000]]) {
            tiles.add({x, y, width: 3000, height: 3000, picture});
          }
          part.right = part.bottom = 0; // nothing is in sight
          await rest();
          const overview = [count, most];
          part.right = part.bottom = 6000;
          tiles.changed();
          await rest();
          const all = count - overview[0];
          part.bottom = 3000;
          tiles.changed();
          await rest();
          return {overview, all, half: count - overview[0] - all};
        }"""
    )
    assert decoded == {"overview": [4, 1], "all": 0, "half": 2}


def test_a_png_that_cannot_be_kept_is_an_error(opened: Open) -> None:
    said = opened().evaluate(
        """async () => {
          const {PngWriter} = await import('./png.js');
          window.Blob = class { constructor() { throw new Error('no room'); } };
          const writer = new PngWriter(1024, 2048, 3), noise = new Uint8Array(3 * 1024 * 2048);
          for (let i = 0; i < noise.length; i += 2 ** 16) {
            crypto.getRandomValues(noise.subarray(i, i + 2 ** 16));
          }
          const written = writer.write(noise).then(() => writer.finish());
          const late = new Promise((done) => setTimeout(() => done('it waits forever'), 20_000));
          return Promise.race([written, late]).catch((error) => error.message);
        }"""
    )
    assert said == "no room"


def test_a_worker_that_cannot_be_loaded_is_said(opened: Open) -> None:
    page = opened()
    page.route("**/worker.js", lambda route: route.abort())
    page.set_input_files("#files", as_file(photo(20, 30)))
    page.wait_for_selector("#jobs .failed")
    said = page.text_content("#jobs .failed .say")
    assert said == "The page's worker stopped: it could not be loaded"


def test_what_runs_is_said(opened: Open, folder: Path) -> None:
    image = as_file(photo(30, 40))
    page = opened("?backend=wasm&threads=2")
    page.set_input_files("#files", image)
    result(page)
    said = page.text_content("#backend")
    way, amount = "WebAssembly, (2 threads|one thread)", r"0\.019 megapixels"
    assert re.fullmatch(rf"Ran on {way}: {amount} at \S+ megapixels a second\.", said)
    assert "small: CompactNet, 6,696 parameters" in page.text_content(".facts")
    # A host without the headers gives no threads.
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as plain:
        threading.Thread(target=plain.serve_forever, daemon=True).start()
        page = opened(WASM, f"http://localhost:{plain.server_port}/")
        page.set_input_files("#files", image)
        result(page)
        said = "Ran on WebAssembly, one thread (this host allows no threads): "
        assert page.text_content("#backend").startswith(said)
        plain.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


def test_opened_as_a_file_it_says_what_to_do(browser: Any, folder: Path) -> None:
    page = browser.new_page()
    page.goto((folder / "index.html").as_uri())
    page.wait_for_timeout(2500)
    assert page.locator("#stopped").is_visible()
    assert "sr-gan serve" in page.text_content("#stopped")
    assert page.evaluate("getComputedStyle(document.getElementById('stopped')).opacity") == "1"
    assert not page.locator("#drop").is_visible()
    page.close()


def test_a_huge_photo_takes_bounded_memory(opened: Open, model: Pretrained) -> None:
    """The result has 202 megapixels, 605 MB, and is wider than a canvas may be."""
    image = photo(400, 300).resize((4200, 3000), Image.Resampling.BICUBIC)
    page = opened("?backend=wasm")
    page.set_input_files("#files", as_file(image))
    peak = 0
    while not page.query_selector("#jobs :is(.done, .failed)"):
        processes = psutil.Process().children(recursive=True)
        peak = max(peak, *(each.memory_info().rss for each in processes))
        page.wait_for_timeout(300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", None)
        made = result(page)
        assert made.size == (16800, 12000)
        window = made.crop((8000, 6000, 8400, 6400))
    expected = Upscaler(model, Options(precision="fp32"))(image.crop((1900, 1400, 2200, 1700)))
    assert differ(window, expected.crop((400, 400, 800, 800))) <= 2
    assert peak < 1.2e9
