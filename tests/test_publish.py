"""``python -m sr_gan.publish`` as a user calls it, and a model that comes back from the Hub."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from sr_gan.inference.pretrained import load_pretrained
from sr_gan.networks import SRResNet
from sr_gan.runs.weights import save_generator
from tests.conftest import Shell, random_photo
from tests.hub_server import Hub
from tests.made_runs import MakeRun

CONFIG = {"_target_": "sr_gan.networks.SRResNet", "scale": 4, "filters": 4, "blocks": 1}


@pytest.fixture
def model(make_run: MakeRun) -> Path:
    """A run with a finished generator and sample pictures."""
    run = make_run("made", grids=(1, 3))
    save_generator(SRResNet(4, 4, 1), CONFIG, run / "checkpoints" / "gan" / "generator.safetensors")
    return run


def test_a_model_is_published_and_enlarges_from_there(
    hub: Hub, shell: Shell, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.token)
    code, out, err = shell(
        "publish", f"model={model}", "repo=me/made", "license=CC-BY-4.0", "author=Me"
    )
    assert code == 0, err
    assert f"published {hub.url}/me/made" in out
    assert "fill in README.md: licences of the photographs" in out
    assert "HTTP" not in out
    files = hub.files("me/made")
    assert {"README.md", "generator.safetensors", "samples.png"} <= files.keys()
    assert b"\nlicense: cc-by-4.0\n" in files["README.md"]
    assert b"](samples.png)" in files["README.md"]
    newest = model / "samples" / "gan" / "epoch_0003.png"
    assert files["samples.png"] == newest.read_bytes()
    ours, theirs = (load_pretrained(m).generator for m in (str(model), "hf://me/made"))
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters()))
    Image.fromarray(random_photo(8, 8)).save(tmp_path / "small.png")
    shell("upscale", "model=hf://me/made", "input=small.png", "output=large.png")
    assert Image.open(tmp_path / "large.png").size == (32, 32)

    own = tmp_path / "own.md"
    own.write_text("# My own card\n")
    code, _, err = shell(
        *("publish", f"model={model}", "repo=me/made", f"card={own}", "samples=false")
    )
    assert code == 0, err
    assert hub.files("me/made")["README.md"] == own.read_bytes()
    assert len(hub.commits["me/made"]) == 3  # the first one is the Hub's own


def test_a_private_model_is_never_public(
    hub: Hub, shell: Shell, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert shell("publish", f"model={model}", "repo=me/mine", "private=true")[0] == 0
    assert hub.private["me/mine"]
    hub.private["me/mine"] = False
    before = hub.files("me/mine")
    code, _, err = shell("publish", f"model={model}", "repo=me/mine", "private=true")
    assert code == 1
    assert "repo=me/mine and private=true: the repository exists and is public" in err
    assert hub.files("me/mine") == before


def test_a_dry_run_asks_nobody(hub: Hub, shell: Shell, model: Path, tmp_path: Path) -> None:
    code, out, err = shell("publish", f"model={model}", "repo=me/made", "dry_run=true")
    assert code == 0, err
    written = {path.name for path in (tmp_path / "published").iterdir()}
    assert written == {"README.md", "generator.safetensors", "samples.png"}
    assert all(f"published/{name}" in out for name in written)
    assert hub.asked == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["repo=made"], "repo=made: give OWNER/NAME"),
        (["model=none"], "model=none does not exist"),
        (["model=bicubic"], "model=bicubic has no weights"),
        (["card=none.md"], "card=none.md does not exist"),
        (["metrics=none.json"], "metrics=none.json does not exist"),
        (["dry_run=true", "output=file/x"], "output=file/x cannot be written"),
        ([], "repo=me/made: you are not logged in to the Hugging Face Hub: log in with hf auth"),
    ],
)
def test_mistakes_are_one_line(
    hub: Hub, shell: Shell, model: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "file").touch()
    if "metrics=none.json" in arguments:
        arguments = [*arguments, "dry_run=true"]
    given = {each.partition("=")[0]: each for each in [f"model={model}", "repo=me/made"]}
    given |= {each.partition("=")[0]: each for each in arguments}
    code, _, err = shell("publish", *given.values())
    assert code == 1
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert hub.commits == {}
    assert not (tmp_path / "published").exists()


def test_refusals_and_a_missing_package_are_one_line(
    hub: Hub, shell: Shell, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    code, _, err = shell("publish", f"model={model}", "repo=me/made", "author=Me", "license=MIT")
    assert code == 1
    assert "does not permit it: log in with hf auth login" in err
    assert len(err.strip().splitlines()) == 1
    monkeypatch.setattr("sr_gan.runs.hub.installed", lambda package: False)
    code, _, err = shell("publish", f"model={model}", "repo=me/made", "author=Me", "license=MIT")
    assert code == 1
    assert "needs the package huggingface_hub: pip install 'sr_gan[hub]'" in err
