"""Every image has a result of its own: for any names, however the images were given."""

import re
from collections.abc import Collection
from itertools import permutations
from pathlib import Path
from random import Random
from unicodedata import normalize

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from sr_gan.errors import UserError
from sr_gan.images.find import EXTENSIONS, WRITTEN
from sr_gan.images.write import FORMATS
from sr_gan.inference.plan import Job, plan, result_names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    for name in ["a.jpg", "b.gif", "sub/c.PNG", "sub/d.tif", "odd [1].png"]:
        Image.new("RGB", (4, 4)).save(root / name)
    (root / "notes.txt").write_text("no image")
    return root


def targets(inputs: list[str], output: Path, suffix: str | None = None) -> list[str]:
    return sorted(
        job.target.relative_to(output).as_posix() for job in plan(inputs, str(output), suffix)
    )


def test_a_folder_keeps_its_structure_and_kinds(folder: Path, tmp_path: Path) -> None:
    expected = ["a.jpg", "b.png", "odd [1].png", "sub/c.PNG", "sub/d.tif"]
    assert targets([str(folder)], tmp_path / "out") == expected
    as_webp = ["a.webp", "b.webp", "odd [1].webp", "sub/c.webp", "sub/d.webp"]
    assert targets([str(folder)], tmp_path / "out", ".webp") == as_webp


def test_patterns_files_with_odd_names_and_lists(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert targets([f"{folder}/*/[cd]*"], out) == ["c.PNG", "d.tif"]
    assert targets([f"{folder}/**/*"], out) == ["a.jpg", "b.png", "c.PNG", "d.tif", "odd [1].png"]
    assert targets([f"{folder}/odd [1].png"], out) == ["odd [1].png"]
    assert targets([f"{folder}/a.jpg", f"{folder}/sub"], out) == ["a.jpg", "c.PNG", "d.tif"]
    Image.new("RGB", (4, 4)).save(folder / "odd 1.png")  # matches the name of the other
    assert targets([f"{folder}/odd [1].png"], out) == ["odd [1].png"]


def test_a_single_file_goes_where_it_is_told(folder: Path, tmp_path: Path) -> None:
    (job,) = plan([f"{folder}/a.jpg"], str(tmp_path / "large.tif"))
    assert job.target == tmp_path / "large.tif"
    (job,) = plan([f"{folder}/a.jpg"], str(tmp_path / "large"))
    assert job.target == tmp_path / "large" / "a.jpg"


def test_names_that_would_meet_are_told_apart(folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(folder / "a.gif")
    names = targets([str(folder)], tmp_path / "out", ".png")
    assert names[:2] == ["a_gif.png", "a_jpg.png"]
    assert len(set(names)) == 6


def test_results_inside_the_input_are_no_input(folder: Path) -> None:
    out = folder / "large"
    first = plan([str(folder)], str(out))
    for job in first:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16)).save(job.target)
    assert [job.source for job in plan([str(folder)], str(out))] == [job.source for job in first]


@pytest.mark.parametrize(
    ("entry", "message"),
    [("none.jpg", "does not exist"), ("*.xyz", "matches no image"), ("empty", "holds no images")],
)
def test_inputs_that_name_nothing(folder: Path, tmp_path: Path, entry: str, message: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        plan([str(folder / entry)], str(tmp_path / "out"))


def test_no_photo_is_replaced_by_its_enlargement(folder: Path) -> None:
    for output in (folder, folder / "a.jpg"):
        with pytest.raises(UserError, match=re.escape(f"output={output} would overwrite")):
            plan([str(folder / "a.jpg")], str(output))
    (folder / "linked").symlink_to(folder)
    with pytest.raises(UserError, match=r"a\.jpg with its own enlargement"):
        plan([str(folder / "a.jpg")], str(folder / "linked"))
    Image.new("RGB", (4, 4)).save(folder / "b.png")
    (folder / "z.png").symlink_to("b.png")
    with pytest.raises(UserError, match=r"z\.png with an enlargement"):
        plan([f"{folder}/b.gif", f"{folder}/z.png"], str(folder))


def test_results_have_the_formats_that_are_written() -> None:
    assert set(WRITTEN) == set(FORMATS)


# Names that some disks take for the same, or that meet once they are told apart.
LETTERS = ["a", "A", "é", "e\u0301", "ß", "ss", "\u212a", "k", "_", "jpg", "png", "x" * 99]
ENDS = [*EXTENSIONS, ".JPG", ".Png", "", ".x"]
STEMS = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=3).map("".join)
FILES = st.tuples(STEMS.map(lambda stem: stem[:120]), st.sampled_from(ENDS)).map("".join)
PATHS = st.builds(lambda folders, file: Path(*folders, file), st.lists(FILES, max_size=3), FILES)


def folded(path: Path) -> str:
    return normalize("NFC", path.as_posix().casefold())


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    images=st.dictionaries(PATHS.map(lambda path: Path("/photos") / path), st.integers(1, 4)),
    suffix=st.sampled_from([None, ".png", ".webp", ".tiff"]),
    order=st.randoms(use_true_random=False),
)
@example({Path("/p/a.jpg"): 1, Path("/p/a.png"): 1, Path("/p/a_jpg.png"): 1}, ".png", None)
@example({Path("/1/a.png"): 1, Path("/2/a.png"): 1, Path("/2/A.png"): 1}, None, None)
@example({Path("/p/a.gif"): 2, Path("/p/a.png/b.png"): 3}, None, None)
@example({Path("/p/" + "\u00fc" * 125 + end): 1 for end in (".jpg", ".png")}, ".tiff", None)
def test_no_two_results_have_one_name(
    images: dict[Path, int], suffix: str | None, order: Random | None
) -> None:
    found = {
        path: Path(*path.parts[-kept:]) for path, kept in images.items() if kept < len(path.parts)
    }
    names = result_names(found, suffix)
    assert set(names) == set(found)
    places = {folded(name) for name in names.values()}
    assert len(places) == len(found)
    assert not places & {folded(folder) for name in names.values() for folder in name.parents}
    assert all(name.parent == found[source].parent for source, name in names.items())
    for name in names.values():
        assert name.suffix == suffix or (not suffix and name.suffix.lower() in WRITTEN)
        assert len(name.name.encode()) <= 255
    if order is not None:
        shuffled = list(found.items())
        order.shuffle(shuffled)
        assert result_names(dict(shuffled), suffix) == names


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["1/a.png", "2/a.png"], ["a_1.png", "a_2.png"]),
        (["1/x/a.png", "2/x/a.png"], ["a_1_x.png", "a_2_x.png"]),
        (["1/a.jpg", "1/a.png", "2/a.png"], ["a.jpg", "a_1.png", "a_2.png"]),
        (["1/a.gif", "1/a.jp2", "2/a.gif"], ["a_1.png", "a_jp2.png", "a_2.png"]),
        (
            ["1/a.gif", "1/a.jp2", "2/a.gif", "2/a.jp2"],
            ["a_gif_1.png", "a_jp2_1.png", "a_gif_2.png", "a_jp2_2.png"],
        ),
        (["1/a.gif", "1/a.png", "1/a_gif.png"], ["a_1.png", "a_png.png", "a_gif.png"]),
    ],
)
def test_names_are_told_apart_by_extension_then_folder(
    paths: list[str], expected: list[str]
) -> None:
    images = {Path("/photos", path): Path(Path(path).name) for path in paths}
    assert [name.name for name in result_names(images).values()] == expected


def test_names_that_only_case_tells_apart_keep_theirs_when_others_come() -> None:
    """Otherwise the result of one would be taken for the result of another."""
    pair = {Path("/p", name): Path(name) for name in ("a.png", "A.png")}
    names = result_names(pair)
    assert all(re.fullmatch(r"[aA]_[0-9a-f]{8}\.png", name.name) for name in names.values())
    assert names.items() <= result_names({Path("/p/A.PNG"): Path("A.PNG"), **pair}).items()


def sources(jobs: Collection[Job]) -> dict[Path, Path]:
    return {job.source: job.target for job in jobs}


def test_an_image_that_is_given_in_several_ways_is_enlarged_once(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "linked").symlink_to(folder)
    (tmp_path / "0.png").symlink_to(folder / "sub" / "c.PNG")
    inputs = [str(folder), f"{folder}/**/*", f"{folder}/sub/c.PNG", f"{tmp_path}/linked"]
    inputs += [f"{tmp_path}/linked/sub/../a.jpg", f"{tmp_path}/0.png"]
    expected = ["a.jpg", "b.png", "odd [1].png", "sub/c.PNG", "sub/d.tif"]
    for order in list(permutations(inputs))[::50]:
        assert targets(list(order), tmp_path / "out") == expected


def test_results_inside_are_no_input_of_patterns_and_linked_folders_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("album/a.png", "album/upscaled/a.png", "upscaled/more/b.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(name)
    Path("album/results").symlink_to(tmp_path / "upscaled")
    Path("other").symlink_to("album/upscaled")
    a, enlarged = Path("album/a.png"), Path("album/upscaled/a.png")
    assert set(sources(plan(["."], "album/upscaled"))) == {a, Path("upscaled/more/b.png")}
    assert set(sources(plan(["."], "other"))) == {a, Path("upscaled/more/b.png")}
    assert set(sources(plan(["**/*.png"], "upscaled"))) == {a, enlarged}
    assert set(sources(plan(["album"], "upscaled"))) == {a, enlarged}
    assert sources(plan(["album/*.png"], "album", ".jpg")) == {a: Path("album/a.jpg")}
    assert sources(plan(["album/upscaled"], "album", ".jpg")) == {enlarged: Path("album/a.jpg")}
    with pytest.raises(UserError, match=r"input=\*\*/more/\* names lies in output=upscaled"):
        plan(["**/more/*"], "upscaled")


@pytest.mark.parametrize("kind", ["link to itself", "link to a folder above", "two that meet"])
def test_links_that_lead_in_circles_end(folder: Path, tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "outside.png")
    if kind == "link to itself":
        (folder / "self").symlink_to("self")
        (folder / "here").symlink_to(".")
    elif kind == "link to a folder above":
        for number in range(4):
            (folder / "sub" / f"up{number}").symlink_to("../..")
    else:
        (folder / "other").mkdir()
        (folder / "sub" / "to").symlink_to("../other")
        (folder / "other" / "fro").symlink_to("../sub")
    expected = ["a.jpg", "b.png", "odd [1].png", "sub/c.PNG", "sub/d.tif"]
    assert targets([str(folder)], tmp_path / "out") == expected
    flat = sorted(Path(name).name for name in expected)
    assert targets([f"{folder}/**/*.*"], tmp_path / "out") == flat
    assert targets([f"{folder}/**"], tmp_path / "out") == flat
