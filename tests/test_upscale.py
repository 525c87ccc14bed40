import errno
import os
from functools import partial
from math import floor
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_gan.images.resize import upscale as bicubic
from sr_gan.inference.upscaler import Upscaler
from sr_gan.networks import MSRResNet
from sr_gan.runs.weights import save_generator
from tests.conftest import Shell, random_photo

CONFIG = {"_target_": "sr_gan.networks.MSRResNet", "scale": 2, "filters": 8, "blocks": 1}


@pytest.fixture
def run(shell: Shell) -> Shell:
    return partial(shell, "upscale")


@pytest.fixture
def model(tmp_path: Path) -> str:
    save_generator(MSRResNet(2, 8, 1), CONFIG, tmp_path / "my model.safetensors")
    return str(tmp_path / "my model.safetensors")


def photo(path: Path, seed: int = 0) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = random_photo(12, 17, seed)
    Image.fromarray(pixels).save(path)
    return pixels


def test_a_folder_and_a_bad_file_in_it(run: Shell, model: str, tmp_path: Path) -> None:
    pixels = photo(tmp_path / "in" / "sub, (1)" / "it's = fine.png")
    (tmp_path / "in" / "text.png").write_text("no image")
    code, out, err = run(f"model={model}", "input=in", "output=large files")
    assert code == 1
    assert "failed  in/text.png: not an image" in err
    assert err.splitlines()[-1] == "error: 1 of 2 images failed, see above"
    assert "Traceback" not in err
    assert "MSRResNet" in out
    large = np.asarray(Image.open(tmp_path / "large files" / "sub, (1)" / "it's = fine.png"))
    np.testing.assert_array_equal(large, Upscaler.from_pretrained(model)(pixels))
    assert not list((tmp_path / "large files").rglob("*.part"))


def test_links_that_lead_to_themselves_do_not_stop_the_others(run: Shell, tmp_path: Path) -> None:
    photo(tmp_path / "in" / "c.png")
    (tmp_path / "in" / "a.png").symlink_to("b.png")
    (tmp_path / "in" / "b.png").symlink_to("a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_text("of an earlier run")
    arguments = ("model=bicubic", "scale=2", "input=in", "output=out", "overwrite=true")
    code, out, err = run(*arguments)
    assert code == 1
    assert err.splitlines()[-1] == "error: 2 of 3 images failed, see above"
    assert "failed  in/a.png: Too many levels of symbolic links" in err
    assert "done    1 image in" in out
    assert run(*arguments[:2], "input=in/a.png", *arguments[3:])[0] == 1


def test_results_are_left_alone_until_told(run: Shell, tmp_path: Path) -> None:
    pixels = photo(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("mine")
    code, out, _ = run("model=bicubic", "scale=2", "input=a.png", "output=b.png")
    assert (code, (tmp_path / "b.png").read_text()) == (0, "mine")
    assert "1 of 1 result, left alone; overwrite=true replaces them" in out
    assert run("model=bicubic", "scale=2", "input=a.png", "output=b.png", "overwrite=true")[0] == 0
    given = torch.from_numpy(pixels).permute(2, 0, 1)[None].double()
    expected = bicubic(given, 2)[0].permute(1, 2, 0).clamp(0, 255).numpy()
    assert np.abs(np.asarray(Image.open(tmp_path / "b.png")) - expected).max() < 0.51


def test_a_full_disk_ends_it_and_leaves_no_half_file(
    run: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        photo(tmp_path / "in" / f"{seed}.png", seed)

    def full(file: IO[bytes], *arguments: Any) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sr_gan.inference.jobs.write_picture", full)
    code, _, err = run("model=bicubic", "input=in", "output=out")
    assert code == 1
    assert err.splitlines()[-1].startswith("error: out/0.png: No space left on device")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_an_output_that_cannot_be_made_is_told_before_the_model_is_loaded(
    run: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(tmp_path / "a.png")
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr("sr_gan.inference.pretrained.load_pretrained", None)
    code, _, err = run("model=bicubic", "input=a.png", "output=file/sub")
    assert code == 1
    assert err == (
        "error: output=file/sub cannot be written (file: Not a directory): give another folder\n"
    )


def test_two_files_of_one_name_have_two_results(run: Shell, tmp_path: Path) -> None:
    for folder, grey in (("d1", 10), ("d2", 200)):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (8, 8), (grey,) * 3).save(tmp_path / folder / "a.png")
    code, out, _ = run("model=bicubic", "input=[d1/a.png,d2/a.png,d1]", "output=out")
    assert code == 0
    assert "once    1 image given again" in out
    for name, grey in (("a_d1.png", 10), ("a_d2.png", 200)):
        assert np.unique(np.asarray(Image.open(tmp_path / "out" / name))) == grey


@pytest.mark.parametrize("stem", ["n" * 251, "ü" * 125 + "n"])
def test_the_longest_names_are_written(run: Shell, tmp_path: Path, stem: str) -> None:
    photo(tmp_path / "in" / f"{stem}.png")
    assert run("model=bicubic", "input=in", "output=out")[0] == 0
    assert run("model=bicubic", "input=in", "output=out", "format=webp")[0] == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"{stem}.png", f"{stem[:-1]}.webp"}


def test_a_result_that_is_older_than_its_image_is_named(run: Shell, tmp_path: Path) -> None:
    photo(tmp_path / "in" / "a.png")
    photo(tmp_path / "in" / "b.png")
    (tmp_path / "in" / "notes.txt").touch()
    assert run("model=bicubic", "input=in", "output=out")[0] == 0
    os.utime(tmp_path / "out" / "a.png", (0, 0))
    code, out, _ = run("model=bicubic", "input=in", "output=out")
    assert code == 0
    assert "exist   2 of 2 results, left alone" in out
    assert "older   than the images of these names: out/a.png" in out
    assert "skipped 1 file in in, of kinds that are not read: .txt 1" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["input=none.jpg", "model=bicubic"], "input=none.jpg does not exist"),
        (["input=a.png", "model=runs/none"], "model=runs/none does not exist"),
        (["input=a.png", "model=a.png"], "a.png is not a file of weights"),
        (["input=a.png", "model=bicubic", "format=gif"], "format=gif: allowed are png, jpg"),
        (
            ["input=a.png", "model=bicubic", "smooth=median"],
            "smooth=median: allowed are",
        ),
        (
            ["input=a.png", "model=bicubic", "smooth=guided"],
            "smooth=guided: set the size of the filter, smooth_sigma=0.8",
        ),
        (
            ["input=a.png", "model=bicubic", "tile=3"],
            "tile=3: should be greater",
        ),
        (["input=a.png", "model=bicubic", "device=tpu"], "device=tpu: allowed are"),
        (["input=a.png", "model=bicubic", "sharpen=1"], "sharpen"),
        (["model=bicubic"], "input is not set"),
        (["model=bicubic", "input="], "input is empty: give a path, input=PATH"),
        (["model=bicubic", "input=[a.png,'']"], "input is empty"),
        (["model=bicubic", "input=a.png", "output="], "output is empty: give a path"),
        (
            ["model=bicubic", "input=a.png", "output=x.heic"],
            "output=x.heic: .heic is not a format of results: allowed are .png, .jpg",
        ),
        (
            ["model=bicubic", "input=a.png", "output=x.pgn"],
            "output=x.pgn: .pgn is not a format of results; did you mean .png? A new folder of "
            "this name is output=x.pgn/",
        ),
        (
            ["model=bicubic", "input=[a.png,b/a.png]", "output=x.png"],
            "output=x.png: one file cannot hold the results of a folder or of several images",
        ),
        (
            ["input=a.png", "model=bicubic", "output=b.png", "format=webp"],
            "format=webp and output=b.png contradict: give one of them",
        ),
        (["input=a.png", "output=a.png", "model=bicubic", "overwrite=true"], "would overwrite"),
    ],
)
def test_mistakes_are_one_line(
    run: Shell, tmp_path: Path, arguments: list[str], message: str
) -> None:
    before = photo(tmp_path / "a.png")
    photo(tmp_path / "b" / "a.png")
    code, _, err = run(*arguments)
    assert code == 1
    assert err.splitlines()[-1].startswith("error: ")
    assert message in err
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), before)


def test_bicubic_enlarges_as_much_as_it_is_asked_to(run: Shell, tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    code, out, err = run("input=a.png", "model=bicubic", "outscale=6.5", "output=large.png")
    assert code == 0, err
    assert "model   bicubic, x7" in out
    small, large = (Image.open(tmp_path / name).size for name in ("a.png", "large.png"))
    assert large == tuple(floor(6.5 * side + 0.5) for side in small)


def test_the_format_may_repeat_the_extension_of_the_output(run: Shell, tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    for output, kind in {"b.JPG": "jpeg", "c.tif": "tiff", "d.png": "png"}.items():
        code, _, err = run("input=a.png", "model=bicubic", f"output={output}", f"format={kind}")
        assert code == 0, err
        assert (tmp_path / output).is_file()


def test_the_reason_of_a_single_failure_is_told_once(run: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")
    code, out, err = run("input=a.png", "model=bicubic")
    assert code == 1
    assert (out + err).count("not an image") == 1
    assert err.splitlines()[-1] == "error: a.png: not an image, or damaged at its beginning"
