import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as skimage_data

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
    assert [image["name"] for image in content["images"]] == ["a.png", "sub/grey.png"]
    scores = [image["psnr_y"] for image in content["images"]]
    assert content["mean"]["psnr_y"] == pytest.approx(np.mean(scores))
    assert content["mean"]["lpips"] is None
    assert content["bicubic"]["psnr_y"] != content["mean"]["psnr_y"]
    with (written / "my photos.csv").open() as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    assert float(rows["a.png"]["psnr_y"]) == pytest.approx(scores[0], rel=1e-5)
    assert rows["a.png"]["lpips"] == ""
    assert f"| {scores[0]:.2f} |" in (written / "my photos.md").read_text()


def test_folders_of_one_name_have_a_table_each(run: Shell, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    Image.fromarray(skimage_data.coffee()[:90, :90]).save(tmp_path / "other" / "b.png")
    (tmp_path / "more").mkdir()
    (tmp_path / "other").rename(tmp_path / "more" / "my photos")
    code, _, err = run("model=bicubic", "benchmark=['my photos','more/my photos']", "output=out")
    assert code == 0, err
    assert "sub/grey.png" in Path("out/my photos.csv").read_text()
    assert "b.png" in Path("out/my photos_2.csv").read_text()


def test_lr_images_that_are_given(shared: Path, run: Shell) -> None:
    sets = shared / "data"
    arguments = [f"benchmark={sets}/benchmarks/Set5/HR", f"lr={sets}/parity/Set5_LRx4_matlab"]
    code, *_ = run("model=bicubic", *arguments, "output=out")
    assert code == 0
    given = json.loads(Path("out/Set5.json").read_text())["mean"]["psnr_y"]
    assert given == pytest.approx(28.43, abs=0.02)


def test_kinds_of_degradation_are_a_row_each(run: Shell, folder: Path, tmp_path: Path) -> None:
    save_generator(MSRResNet(4, 8, 1), CONFIG, tmp_path / "small.safetensors")
    arguments = ["model=small.safetensors", "benchmark=my photos", "output=out"]
    assert run(*arguments)[0] == 0
    plain = json.loads(Path("out/my photos.json").read_text())
    code, _, _ = run(*arguments, "degradation=kinds")
    assert code == 0
    with Path("out/my photos-degraded.csv").open() as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    kinds = ["clean", "jpeg75", "jpeg40", "noise5", "noise10"]
    beside = [name for kind in kinds for name in (kind, f"{kind}, bicubic")]
    assert list(rows) == [*beside, "mean, small", "mean, bicubic"]
    psnr = {name: float(row["psnr_y"]) for name, row in rows.items()}
    assert psnr["clean"] == pytest.approx(plain["mean"]["psnr_y"], rel=1e-5)
    assert psnr["clean, bicubic"] == pytest.approx(plain["bicubic"]["psnr_y"], rel=1e-5)
    assert psnr["clean"] > psnr["jpeg75"] > psnr["jpeg40"]
    assert psnr["clean"] > psnr["noise5"] > psnr["noise10"]
    for mean, names in (("mean, small", kinds), ("mean, bicubic", beside[1::2])):
        assert psnr[mean] == pytest.approx(np.mean([psnr[name] for name in names]), rel=1e-5)
    code, out, _ = run(*arguments, "degradation=kinds", "degradation.names=[noise5]")
    assert code == 0
    assert "noise5, bicubic" in out
    assert "jpeg75" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["benchmark=none", "model=bicubic"],
            "benchmark=none: does not exist: give a folder of photos",
        ),
        (["benchmark=empty", "model=bicubic"], "holds no images"),
        (["benchmark=broken", "model=bicubic"], "broken/x.png: not an image"),
        (["benchmark=tiny", "model=bicubic"], "8x8 pixels are too few"),
        (["benchmark=my photos", "model=bicubic", "lr=tiny"], "no such file"),
        (["benchmark=my photos", "model=bicubic", "lpips=none.pth"], "none.pth"),
        (["model=bicubic"], "benchmark is not set"),
        (
            ["benchmark=my photos", "degradation=kinds", "degradation.names=[clean,jpeg30]"],
            "names=jpeg30: allowed are clean, jpeg75, jpeg40, noise5, noise10",
        ),
        (
            ["benchmark=my photos", "degradation=jpeg30"],
            "no such choice (allowed: bicubic, blur_noise",
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
