"""``python -m sr_gan.interpolate`` as a user calls it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from sr_gan.errors import UserError
from sr_gan.inference.pretrained import load_pretrained
from sr_gan.interpolate import parse_alphas
from sr_gan.networks import SRResNet
from sr_gan.runs.weights import save_generator
from tests.conftest import Shell, random_photo

CONFIG = {"_target_": "sr_gan.networks.SRResNet", "scale": 4, "filters": 4, "blocks": 1}


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        save_generator(SRResNet(filters=4, blocks=1), CONFIG, path)
    return paths


def test_writes_models_that_upscale_takes_and_a_table(
    shell: Shell, models: tuple[Path, Path], tmp_path: Path, photos: Path
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for i in range(2):
        Image.fromarray(random_photo(60, 72, i)).save(folder / f"{i}.png")
    shutil.copytree(folder, tmp_path / "other" / "set")
    a, b = models
    sets = f"benchmark=[{folder},{tmp_path / 'other' / 'set'}]"
    code, _out, err = shell("interpolate", f"a={a}", f"b={b}", "alpha=0:1:0.5", sets)
    assert code == 0, err
    names = [f"alpha_{alpha}.safetensors" for alpha in ("0.00", "0.50", "1.00")]
    assert sorted(p.name for p in (tmp_path / "interpolated").glob("*.safetensors")) == names
    middle = load_pretrained(str(tmp_path / "interpolated" / names[1])).generator
    ends = [load_pretrained(str(path)).generator for path in models]
    for own, first, second in zip(middle.parameters(), *(end.parameters() for end in ends)):
        torch.testing.assert_close(own, (first + second) / 2)
    table = json.loads((tmp_path / "interpolated" / "set.json").read_text())
    assert list(table) == ["0.00", "0.50", "1.00", "bicubic"]
    assert table["0.00"]["psnr_y"] != table["1.00"]["psnr_y"]
    for name in ("set", "set_2"):
        assert "| 0.50 |" in (tmp_path / "interpolated" / f"{name}.md").read_text()
    shell("evaluate", f"model=interpolated/{names[1]}", f"benchmark={folder}", "output=out")
    measured = json.loads((tmp_path / "out" / "set.json").read_text())
    assert measured["mean"]["psnr_y"] == pytest.approx(table["0.50"]["psnr_y"], abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["b=bicubic"], "error: b=bicubic has no weights: name a trained model"),
        (["b=none.safetensors"], "error: b=none.safetensors does not exist"),
        (["b=SELF", "alpha=2"], "alpha=2: give start:stop:step"),
        (["b=SELF", "photos=EMPTY"], "empty holds no images"),
    ],
)
def test_mistakes_are_one_line(
    shell: Shell, models: tuple[Path, Path], tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    given = [x.replace("SELF", str(models[1])).replace("EMPTY", "empty") for x in arguments]
    code, _, err = shell("interpolate", f"a={models[0]}", *given)
    assert code == 1
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_alphas() -> None:
    assert parse_alphas("0:1:0.1") == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
    assert parse_alphas("0.2:0.9:0.35") == [0.2, 0.55, 0.9]
    assert parse_alphas(0.3) == [0.3]
    assert parse_alphas([0, 0.5]) == [0, 0.5]
    for wrong in ("a", "0:1", "0:1:0", "1:0:0.1", [], [0.5, 1.5]):
        with pytest.raises(UserError, match="give start:stop:step"):
            parse_alphas(wrong)
