import re
from pathlib import Path

import torch

from sr_gan.evaluation.crops import Crop, cut
from sr_gan.evaluation.scores import Evaluation
from sr_gan.evaluation.suite import Scores
from sr_gan.reports.slider import write
from tests.reports.test_page import Page

SCORES: Scores = {"psnr_y": 27.123, "ssim_y": 0.8, "lpips": 0.2345}


def crop(grey: int) -> Crop:
    black = torch.zeros((1, 3, 8, 8), dtype=torch.uint8)
    return cut({"<gan>": black, "bicubic": black + grey}, black)


def page(tmp_path: Path, scores: Scores = SCORES, **crops: Crop) -> str:
    names = [*crops, "left <out>.png"]
    images = dict.fromkeys(names, scores)
    evaluation = Evaluation(
        "a & b", 4, {"<gan>": images, "bicubic": images}, "convention <x>", crops=crops
    )
    path = write(evaluation, tmp_path)
    assert path == tmp_path / "a & b.html"
    return path.read_text()


def test_the_page_needs_no_other_file_and_quotes_what_it_shows(tmp_path: Path) -> None:
    text = page(tmp_path, SCORES, **{"<b>.png": crop(9)})
    parsed = Page(text)
    assert not parsed.open
    assert len(parsed.addresses) == 3
    assert all(address.startswith("data:image/webp;base64,") for address in parsed.addresses)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<b>|<gan>|<x>|<out>", text)
    assert "a &amp; b, x4, 2 images" in text
    assert '<option value="0">&lt;gan&gt;</option>' in text
    assert 'alt="&lt;b&gt;.png, HR"' in text


def test_a_photograph_without_the_usual_scores_has_those_that_it_has(tmp_path: Path) -> None:
    text = page(tmp_path, {"psnr_y": None, "colour_shift": 0.25}, a=crop(1))
    article = text[text.index("<article") : text.index("</article>")]
    assert re.findall(r"<td>(.*?)</td>", article) == ["0.25", "0.25", "-"]


def test_the_largest_difference_comes_first(tmp_path: Path) -> None:
    text = page(tmp_path, small=crop(3), large=crop(90), middle=crop(30))
    assert re.findall(r"<h2>(\w+)</h2>", text)[:3] == ["large", "middle", "small"]
    assert "2 of 3: 30.0 grey levels" in text


def test_each_picture_has_its_scores_and_the_controls_have_names(tmp_path: Path) -> None:
    text = page(tmp_path, a=crop(1))
    article = text[text.index("<article") : text.index("</article>")]
    header = re.findall(r'scope="col">(.*?)</th>', article)
    assert header == ["", "PSNR-Y", "LPIPS"]
    names = re.findall(r'scope="row">(.*?)</th>', article)
    assert names == ["&lt;gan&gt;", "bicubic", "HR"]  # in the order of the pictures
    assert article.count("<td>27.12</td><td>0.2345</td>") == 2
    assert re.search(r'<input type="range" [^>]*aria-label="[^"]+, a"', article)
    assert len(re.findall(r"<label>\w+ <select", text)) == 2
    assert text.index("</article>") < text.index("convention")  # the tables come last
