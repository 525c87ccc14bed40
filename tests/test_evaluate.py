import csv
import json
import os
import re
import shutil
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as skimage_data

from sr_gan.images.resize import downscale
from sr_gan.networks import MSRResNet
from sr_gan.runs.weights import save_generator
from tests.conftest import Shell

CONFIG = {"_target_": "sr_gan.networks.MSRResNet", "scale": 4, "filters": 8, "blocks": 1}


@pytest.fixture
def run(shell: Shell) -> Shell:
    return partial(shell, "evaluate")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cat = skimage_data.chelsea()
    (tmp_path / "my photos" / "sub").mkdir(parents=True)
    Image.fromarray(cat[:101, :130]).save(tmp_path / "my photos" / "a.png")
    Image.fromarray(cat[100:180, 200:290, 0]).save(tmp_path / "my photos" / "sub" / "grey.png")
    return tmp_path / "my photos"


def published(shared: Path, run: Shell, name: str) -> dict[str, float]:
    code, out, _ = run(
        "model=bicubic",
        f"benchmark={shared / 'data/benchmarks' / name / 'HR'}",
        f"lpips={shared / 'weights/alexnet_features.safetensors'}",
        "output=out",
    )
    assert code == 0
    assert "SRGAN-VGG54 (Ledig et al. 2017)" in out
    means: dict[str, float] = json.loads(Path(f"out/{name}.json").read_text())["mean"]
    return means


def test_bicubic_on_set5_is_what_was_published(shared: Path, run: Shell) -> None:
    means = published(shared, run, "Set5")
    assert means["psnr_y"] == pytest.approx(28.42, abs=0.02)
    assert means["lpips"] == pytest.approx(0.340, abs=0.001)


def test_bicubic_on_set14_is_what_was_published(shared: Path, run: Shell) -> None:
    means = published(shared, run, "Set14")
    assert means["psnr_y"] == pytest.approx(26.00, abs=0.02)


def test_a_model_on_a_folder_without_lpips(run: Shell, folder: Path, tmp_path: Path) -> None:
    save_generator(MSRResNet(4, 8, 1), CONFIG, tmp_path / "small.safetensors")
    code, out, _ = run("model=small.safetensors", "benchmark=my photos")
    assert code == 0
    assert "LPIPS is not measured: AlexNet's weights are not at" in out
    assert "published" not in out
    written = tmp_path / "evaluations" / "small"
    content = json.loads((written / "my photos.json").read_text())
    pairs = [(image["name"], image["model"]) for image in content["images"]]
    models = ("small", "bicubic")
    assert pairs == [(name, model) for name in ("a.png", "sub/grey.png") for model in models]
    scores = [image["psnr_y"] for image in content["images"] if image["model"] == "small"]
    assert content["mean"]["psnr_y"] == pytest.approx(np.mean(scores))
    assert "lpips" not in content["mean"]
    assert content["bicubic"]["psnr_y"] != content["mean"]["psnr_y"]
    with (written / "my photos.csv").open() as file:
        rows = {(row["image"], row["model"]): row for row in csv.DictReader(file)}
    assert float(rows["a.png", "small"]["psnr_y"]) == pytest.approx(scores[0], rel=1e-5)
    mean = content["bicubic"]["psnr_y"]
    assert float(rows["mean", "bicubic"]["psnr_y"]) == pytest.approx(mean, rel=1e-5)
    assert "lpips" not in rows["a.png", "small"]
    assert f"| {scores[0]:.2f} |" in (written / "my photos.md").read_text()


def test_pictures_of_another_program_have_the_scores_of_their_model(
    run: Shell, shell: Shell, folder: Path
) -> None:
    """Here the other program is upscale, which writes what evaluate measures."""
    code, _, _ = run("model=psnr", "benchmark=my photos", "output=ours")
    assert code == 0
    for name in ("a.png", "sub/grey.png"):
        with Image.open(folder / name) as image:
            hr = torch.from_numpy(np.atleast_3d(np.array(image)).transpose(2, 0, 1).copy())[None]
        height, width = (side // 4 * 4 for side in hr.shape[-2:])
        lr = downscale(hr[..., :height, :width], 4)[0].permute(1, 2, 0).numpy().squeeze()
        Path("lr", name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(lr).save(f"lr/{name}")
    assert shell("upscale", "model=psnr", "input=lr", "output=theirs", "precision=fp32")[0] == 0
    Path("theirs/a.png").rename("theirs/a_SR.png")
    with Image.open("theirs/sub/grey.png") as grey:
        grey.convert("RGB").save("theirs/sub/grey.png")
    code, out, _ = run("sr=theirs", "model=[psnr,gan]", "benchmark=my photos", "output=both")
    assert code == 0
    ours, both = (json.loads(Path(f"{n}/my photos.json").read_text()) for n in ("ours", "both"))
    assert list(both["models"]) == ["psnr", "gan", "theirs", "bicubic"]
    assert both["models"]["theirs"]["mean"] == both["models"]["psnr"]["mean"]
    assert both["mean"] == ours["mean"]
    assert both["bicubic"] == ours["bicubic"]
    none = both["models"]["theirs"]["difference_from_first"]["psnr_y"]
    assert (none["mean"], none["low"], none["high"]) == (0, 0, 0)
    assert re.search(r"^gan +[\d.]+ ", out, re.MULTILINE)
    assert "Differences from psnr on the same images" in out
    Image.new("RGB", (9, 9)).save("theirs/a_SR.png")
    code, _, err = run("sr=theirs", "benchmark=my photos")
    assert code == 1
    assert "theirs/a_SR.png: 9x9 pixels, but my photos/a.png cut to a multiple of 4 has" in err


def test_a_page_shows_where_results_differ(run: Shell, folder: Path, tmp_path: Path) -> None:
    save_generator(MSRResNet(4, 8, 1), CONFIG, tmp_path / "small.safetensors")
    arguments = ["model=small.safetensors", "benchmark=my photos", "output=out"]
    assert run(*arguments)[0] == 0
    assert not Path("out/my photos.html").exists()
    code, out, _ = run(*arguments, "page=true")
    assert code == 0
    assert "out/my photos.html" in out
    page = Path("out/my photos.html").read_text()
    assert {"a.png", "sub/grey.png"} == set(re.findall(r"<h2>(.*png)</h2>", page))
    assert re.findall(r'<option value="\d">(.*?)</option>', page)[:3] == ["small", "bicubic", "HR"]
    assert len(page) < 1_000_000
    assert not list(Path("out").glob("*.jsonl"))


@pytest.mark.skipif(sys.platform != "linux", reason="other disks take no such name")
def test_names_that_are_no_text_are_written(run: Shell, tmp_path: Path) -> None:
    name = os.fsdecode(b"odd \xff")
    (tmp_path / name).mkdir()
    Image.fromarray(skimage_data.coffee()[:40, :40]).save(tmp_path / name / f"<b>{name}.png")
    arguments = ["output=out", "page=true", "degradation=noise10"]
    code, _, err = run("model=bicubic", f"benchmark='{name}'", *arguments)
    assert code == 0, err
    (page,) = Path("out").glob("*.html")
    assert "<h2>&lt;b&gt;odd \\udcff.png</h2>" in page.read_text()
    (table,) = Path("out").glob("*.csv")
    assert "<b>odd \\udcff.png,bicubic," in table.read_text()


def test_bicubic_is_the_same_as_a_model_and_beside_others(run: Shell, folder: Path) -> None:
    for name in ("bicubic", "lanczos"):
        assert run(f"model={name}", "benchmark=my photos", f"output={name}")[0] == 0
    alone, beside = (
        json.loads(Path(f"{name}/my photos.json").read_text()) for name in ("bicubic", "lanczos")
    )
    assert alone["mean"] == beside["bicubic"] == alone["bicubic"]
    assert list(alone["models"]) == ["bicubic"]
    assert "Differences from" in Path("lanczos/my photos.md").read_text()
    assert "Differences from" not in Path("bicubic/my photos.md").read_text()
    assert beside["mean"] != beside["bicubic"]


def test_folders_of_one_name_have_a_table_each(run: Shell, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    Image.fromarray(skimage_data.coffee()[:90, :90]).save(tmp_path / "other" / "b.png")
    (tmp_path / "more").mkdir()
    (tmp_path / "other").rename(tmp_path / "more" / "my photos")
    code, _, err = run("model=bicubic", "benchmark=['my photos','more/my photos']", "output=out")
    assert code == 0, err
    assert "sub/grey.png" in Path("out/my photos.csv").read_text()
    assert "b.png" in Path("out/my photos_2.csv").read_text()


def test_a_folder_whose_name_is_that_of_another_table(run: Shell, tmp_path: Path) -> None:
    names = ["a/x", "b/X", "x_2"]
    for size, name in enumerate(names, 10):
        (tmp_path / name).mkdir(parents=True)
        Image.new("RGB", (4 * size, 60)).save(tmp_path / name / f"{size}.png")
    code, _, err = run("model=bicubic", f"benchmark=[{','.join(names)}]", "output=out")
    assert code == 0, err
    tables = {path.name: path.read_text() for path in Path("out").glob("*.csv")}
    assert {name: table.splitlines()[1][:2] for name, table in tables.items()} == {
        "x.csv": "10",
        "X_2.csv": "11",
        "x_2_2.csv": "12",
    }


def test_names_that_are_alike_are_told_apart(run: Shell, folder: Path, tmp_path: Path) -> None:
    """A folder of pictures may have the name of a model, and a file that of a kernel."""
    for name in ("bicubic", "psnr"):
        shutil.copytree(folder, tmp_path / "results" / name)
    save_generator(MSRResNet(4, 8, 1), CONFIG, tmp_path / "bicubic.safetensors")
    arguments = ["model=[psnr,bicubic.safetensors]", "sr=[results/bicubic,results/psnr]"]
    code, _, err = run(*arguments, "benchmark=my photos", "output=out", "page=true")
    assert code == 0, err
    content = json.loads(Path("out/my photos.json").read_text())
    pictures = ["sr=results/bicubic", "sr=results/psnr"]
    assert list(content["models"]) == ["psnr", "bicubic.safetensors", *pictures, "bicubic"]
    assert [content["models"][name]["mean"]["ssim_y"] for name in pictures] == [1, 1]
    assert 0.5 < content["bicubic"]["ssim_y"] < 1
    assert content["bicubic"] == content["models"]["bicubic"]["mean"]


def test_pictures_in_a_folder_for_each_benchmark(run: Shell, folder: Path, tmp_path: Path) -> None:
    """The row has the program's name, and the tables go where those of other programs are not."""
    for name in ("A", "B"):
        shutil.copytree(folder, tmp_path / name)
        shutil.copytree(folder, tmp_path / "edsr" / name)
    assert run("sr=edsr", "benchmark=[A,B]")[0] == 0
    assert run("sr=edsr/A", "model=bicubic", "benchmark=A")[0] == 0
    for place in ("edsr/A", "edsr/B", "bicubic+edsr/A"):
        content = json.loads((tmp_path / "evaluations" / f"{place}.json").read_text())
        assert set(content["models"]) == {"edsr", "bicubic"}
        assert content["models"]["edsr"]["mean"]["ssim_y"] == 1


def test_pictures_like_the_photographs_have_no_interval_of_psnr(run: Shell, folder: Path) -> None:
    assert run("sr=my photos", "benchmark=my photos", "output=out")[0] == 0
    found = json.loads(Path("out/my photos.json").read_text())["models"]["bicubic"]
    assert "psnr_y" not in found["difference_from_first"]
    assert found["difference_from_first"]["ssim_y"]["mean"] < 0
    assert "nan" not in Path("out/my photos.md").read_text()


def test_grey_photographs_with_lr_images_in_rgb(run: Shell, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "lr").mkdir()
    with Image.open(folder / "sub" / "grey.png") as hr:
        lr = downscale(torch.from_numpy(np.array(hr)[None, None, :, :88]), 4)[0, 0].numpy()
    Image.fromarray(lr).convert("RGB").save(tmp_path / "lr" / "grey.png")
    arguments = ["model=bicubic", "benchmark=my photos/sub"]
    assert run(*arguments, "lr=lr", "output=given")[0] == 0
    assert run(*arguments, "output=reduced")[0] == 0
    given, reduced = (json.loads(Path(f"{n}/sub.json").read_text()) for n in ("given", "reduced"))
    assert given["mean"] == reduced["mean"]


def test_published_numbers_are_for_one_border(shared: Path, run: Shell) -> None:
    code, out, _ = run(
        "model=bicubic", f"benchmark={shared / 'data/benchmarks/Set5/HR'}", "border=2", "output=out"
    )
    assert code == 0
    assert "bicubic" in out
    assert "published" not in out


def test_lr_images_that_are_given(shared: Path, run: Shell) -> None:
    sets = shared / "data"
    arguments = [f"benchmark={sets}/benchmarks/Set5/HR", f"lr={sets}/parity/Set5_LRx4_matlab"]
    code, *_ = run("model=bicubic", *arguments, "output=out")
    assert code == 0
    given = json.loads(Path("out/Set5.json").read_text())["mean"]["psnr_y"]
    assert given == pytest.approx(28.43, abs=0.02)


def test_kinds_of_degradation_have_a_table_each(run: Shell, folder: Path, tmp_path: Path) -> None:
    save_generator(MSRResNet(4, 8, 1), CONFIG, tmp_path / "small.safetensors")
    arguments = ["model=small.safetensors", "benchmark=my photos", "output=out"]
    assert run(*arguments)[0] == 0
    plain = json.loads(Path("out/my photos.json").read_text())
    assert run(*arguments, "degradation=kinds")[0] == 0
    kinds = ["clean", "jpeg75", "jpeg40", "noise5", "noise10"]
    found = {k: json.loads(Path(f"out/my photos-{k}.json").read_text()) for k in kinds}
    for model in ("mean", "bicubic"):
        psnr = {kind: each[model]["psnr_y"] for kind, each in found.items()}
        assert psnr["clean"] == plain[model]["psnr_y"]
        assert psnr["clean"] > psnr["jpeg75"] > psnr["jpeg40"]
        assert psnr["clean"] > psnr["noise5"] > psnr["noise10"]
    code, out, _ = run(*arguments, "degradation=jpeg40,noise23")
    assert code == 0
    assert "my photos-noise23, x4, 2 images" in out
    again = json.loads(Path("out/my photos-jpeg40.json").read_text())
    assert again == found["jpeg40"]
    assert not list(Path("out").glob("*.jsonl"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["benchmark=none", "model=bicubic"],
            "benchmark=none: does not exist: give a folder of photos",
        ),
        (["benchmark=[my photos,empty]", "model=bicubic"], "benchmark=empty holds no images"),
        (["benchmark=my photos", "model=bicubic", "lr=empty"], "lr=empty holds no images"),
        (
            ["benchmark=broken", "model=bicubic", "degradation=[clean, jpeg75]"],
            "1 photograph left out: broken/x.png: not an",
        ),
        (
            ["benchmark=my photos", "degradation=jpeg75,jpegs"],
            "degradation.names=jpegs: allowed are clean, jpegN",
        ),
        (["benchmark=my photos", "sr=[tiny,tiny]"], "sr=tiny is given 2 times: name it once"),
        (
            ["benchmark=my photos", "model=[x2/a.safetensors,x4/a.safetensors]"],
            "model is a x2, a x4: models of one scale factor are compared",
        ),
        (
            ["benchmark=broken", "model=bicubic"],
            "1 photograph left out: broken/x.png: not an",
        ),
        (["benchmark=my photos", "model=bicubic", "lr=tiny"], "tiny/ax4.png: no such file"),
        (
            ["benchmark=my photos", "sr=tiny"],
            "sr=tiny has no picture of 2 of 2 photographs (a.png, ",
        ),
        (["benchmark=my photos", "sr=none"], "sr=none: does not exist: give a folder"),
        (
            ["benchmark=my photos", "sr=my photos", "degradation=jpeg75"],
            "degradation and sr contra",
        ),
        (["benchmark=my photos", "model=[gan,gan]"], "model=gan is given 2 times: name it once"),
        (
            ["benchmark=my photos", "niqe=none.npz"],
            "niqe=none.npz: does not exist: give a file, or",
        ),
        (["benchmark=my photos", "pyiqa=musiq"], "pyiqa=[musiq] needs the package pyiqa"),
        (
            ["benchmark=my photos", "convention=best"],
            "convention=best: allowed are srgan, matlab, ",
        ),
        (["benchmark=my photos", "model=bicubic", "lpips=none.pth"], "none.pth"),
        (["model=bicubic"], "benchmark is not set"),
        (
            ["benchmark=my photos", "degradation=kinds", "degradation.names=[clean,jpeg300]"],
            "names=jpeg300: allowed are clean, jpegN with a quality from 1 to 100, and noiseN",
        ),
        (
            ["benchmark=my photos", "degradation=jpeg75,noisy10"],
            "names=noisy10: allowed are clean, jpegN",
        ),
        (["benchmark=my photos,none"], "benchmark=none: does not exist: give a folder"),
        (["benchmark=my photos", "model=gan,none"], "model=none does not exist: give the"),
        (
            ["benchmark=my photos", "degradation=jpegs"],
            "degradation=jpegs: no such choice (allowed: bicubic, kinds, or a list of kinds",
        ),
        (
            ["benchmark=my photos", "degradation=jpeg"],
            "at random, for training: allowed are bicubic",
        ),
        (["benchmark=my photos", "degradation=kinds", "lr=tiny"], "degradation and lr contradict"),
    ],
)
def test_mistakes_are_one_line(
    run: Shell, folder: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    for name in ("empty", "broken", "tiny"):
        (tmp_path / name).mkdir()
    for scale in (2, 4):
        weights = tmp_path / f"x{scale}" / "a.safetensors"
        save_generator(MSRResNet(scale, 8, 1), {**CONFIG, "scale": scale}, weights)
    (tmp_path / "broken" / "x.png").write_text("text")
    Image.new("RGB", (8, 8)).save(tmp_path / "tiny" / "x.png")
    code, _, err = run(*arguments)
    assert code == 1
    assert err.splitlines()[-1].startswith("error: ")
    assert message in err
    assert "Traceback" not in err


def test_lpips_by_another_network_is_a_column_of_its_own(
    shared: Path, run: Shell, folder: Path
) -> None:
    squeeze = shared / "weights/squeezenet1_1_features.safetensors"
    code, out, _ = run(
        "model=bicubic", f"benchmark={folder}", f"lpips_squeeze={squeeze}", "output=o"
    )
    assert code == 0
    assert "LPIPS-Sq" in out
    mean = json.loads(Path(f"o/{folder.name}.json").read_text())["mean"]
    assert 0 < mean["lpips_squeeze"] < 1
    code, out, err = run("model=bicubic", f"benchmark={folder}", "lpips_squeeze=none.pth")
    assert code == 1
    assert "lpips_squeeze=none.pth: does not exist: give a file, or download" in err
    _, out, _ = run("model=bicubic", f"benchmark={folder}")
    assert "LPIPS-Sq" not in out
