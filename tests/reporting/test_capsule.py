"""The capsule: a study in one file, nothing of its owner in an anonymous one, and no change that is not named."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mdaf_core.base.errors import BadInputError, StudioError, UsageError
from mdaf_core.base.settings import artifacts_in, get_settings
from mdaf_core.reporting.capsule import content, make, page, scores, verify
from mdaf_core.reporting.figures import FIGURES
from mdaf_core.reporting.material import Material
from mdaf_core.runs import files
from mdaf_core.studies.store import get_study
from tests.reporting.example_study import make_study

EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The drawing library takes seconds to put together; what draws is tested in a browser. Few figures do."""
    few = ("leaderboard", "auc-by-epoch", "gate-distribution")
    monkeypatch.setattr(content, "FIGURES", {name: FIGURES[name] for name in few})
    for module in (page, make):
        monkeypatch.setattr(module, "library", lambda: "/* draws */")


@pytest.fixture
def study(home: Path, made_once: Callable[[Callable[[], Any]], Any]) -> str:
    def made() -> str:
        found = make_study(["mdaf-full", "mdaf-static", "lr"], [1, 2], rows=200, gates=True, title=EVIL)
        (home / "study.html").write_text(make.capsule(Material(found)).html, "utf-8")
        return found.id

    return str(made_once(made))


@pytest.fixture
def file(study: str, home: Path, tmp_path: Path) -> Path:
    path = tmp_path / "study.html"
    if not (home / "study.html").exists():
        (home / "study.html").write_text(make.capsule(Material(get_study(study))).html, "utf-8")
    path.write_text((home / "study.html").read_text("utf-8"), "utf-8")
    return path


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_it_is_one_file_that_asks_for_nothing_and_runs_nothing_of_its_users(file: Path) -> None:
    text = file.read_text("utf-8")
    elements = Elements(text).tags
    assert not [attributes for _, attributes in elements if attributes.keys() & {"src", "href", "onerror", "action"}]
    scripts = [attributes for tag, attributes in elements if tag == "script"]
    assert sum("type" not in attributes for attributes in scripts) == 2, "the library, and the page's own"
    assert not [tag for tag, _ in elements if tag in ("img", "link", "iframe", "object", "form")]
    policy = next(a["content"] for t, a in elements if t == "meta" and a.get("http-equiv"))
    assert policy and policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe-eval" not in policy
    assert "&lt;img src=x" in text and EVIL not in text
    for shown in ("Verdicts, by AUC on test rows", "The test behind each verdict", "Whether the gates are adaptive"):
        assert f"<h3>{shown}</h3>" in text
    assert "The highest mean AUC was that of" in text and "highest </span>" not in text


def test_what_was_not_changed_agrees_wherever_it_is_checked(file: Path, home: Path, tmp_path: Path) -> None:
    from mdaf_core.cli.main import app

    found = verify.verify(file, home / "runs")
    assert not found.differences and found.runs == 6 and found.rows == 200 and found.numbers > 1000
    with artifacts_in(tmp_path / "elsewhere"):
        assert not verify.verify(file).differences
    result = CliRunner().invoke(app, ["verify", str(file)])
    assert result.exit_code == 0 and found.seal in result.stdout


def digit(text: str, pattern: str) -> str:
    """The text with the digit that the pattern's group finds made another."""
    found = re.search(pattern, text)
    assert found
    return text[: found.start(1)] + str((int(found[1]) + 1) % 10) + text[found.end(1) :]


def changed(text: str, *changes: Callable[[str], str]) -> str:
    for change in changes:
        before, text = text, change(text)
        assert before != text
    return text


def test_a_change_of_the_page_is_named(file: Path) -> None:
    text = changed(
        file.read_text("utf-8"),
        lambda text: digit(text, r'data-at="mdaf-full, Mean"[^>]*>0\.\d{3}(\d)'),
        lambda text: digit(text, r'data-at="mdaf-static, Seed 2"[^>]*>0\.\d{3}(\d)'),
        lambda text: text.replace("not shown<", "better<", 1),
        lambda text: digit(text, r'"mean":0\.\d{4}(\d)'),
        lambda text: text.replace("The highest mean", "The greatest mean"),
        lambda text: text.replace("/* draws */", "/* draw */"),
        lambda text: text.replace('"use strict";\n//', '"use strict";//', 1),
        lambda text: re.sub(r"Seal <code>.", "Seal <code>g", text),
    )
    file.write_text(text, "utf-8")
    said = "\n".join(one.sentence for one in verify.verify(file).differences)
    for where in (
        "mdaf-full, Mean: the file says", "mdaf-static, Seed 2: the file says", "Verdict: the file says '● better'",
        "Leaderboard › chart › datasets", "In words: the file says 'The greatest mean", "drawing library",
        "style or script", "Page › Seal",
    ):  # fmt: skip
        assert where in said, where


def test_a_change_of_the_record_is_named(file: Path) -> None:
    text = changed(
        file.read_text("utf-8"),
        lambda text: digit(text, r'"val_auc":0\.\d{4}(\d)'),
        lambda text: digit(text, r'"test":\{"rows":20(\d)'),
    )
    file.write_text(text, "utf-8")
    said = "\n".join(one.sentence for one in verify.verify(file).differences)
    assert "Record › mdaf-full, seed 1: changed since it was sealed" in said
    assert "rows as its training wrote it: the file says 201.0, it should be 200.0" in said
    assert "AUC by epoch › chart" in said


def test_a_change_of_the_markup_alone_is_named(file: Path) -> None:
    file.write_text(file.read_text("utf-8").replace("<main>", "<main >"), "utf-8")
    assert [one.where[:20] for one in verify.verify(file).differences] == ["File › markup, line "]


def test_a_prediction_that_was_changed_is_named_with_its_row(file: Path, home: Path) -> None:
    text = file.read_text("utf-8")
    packed = page.blocks(text)["predictions"]
    runs = scores.unpack(base64.b64decode(packed))
    first = next(iter(runs))

    def after(column: str, **rows: float) -> list[verify.Difference]:
        """What is found in the predictions, after these rows of the first run were given these values."""
        values = runs[first][column].copy()
        values[[int(row[1:]) for row in rows]] = list(rows.values())
        altered = {**runs, first: {**runs[first], column: values}}
        file.write_text(text.replace(packed, base64.b64encode(scores.pack(altered)).decode()), "utf-8")
        return [one for one in verify.verify(file).differences if one.where.startswith("Predictions")]

    logit, label = runs[first]["logit"], runs[first]["label"]
    (one,) = after("logit", _7=logit[7] + 1e-6)
    assert one.where == "Predictions › mdaf-full, seed 1 › logit, changed since it was sealed › row 7"
    assert (float(one.in_file), float(one.should_be)) == (logit[7] + 1e-6, logit[7])
    assert verify.verify(file, home / "runs").differences[0].where.endswith("› logit › row 7")
    (several,) = after("logit", _7=logit[7] + 1e-6, _9=0.0)
    assert several.where.endswith("logit, changed since it was sealed in more than one row, or its seal was")
    (labels,) = after("label", _3=1 - label[3], _8=1 - label[8])  # other runs have them still
    assert labels.where.endswith("› label, changed since it was sealed › row 3 and 1 more")
    file.write_text(text.replace(packed, packed[:400] + "AAAA" + packed[404:]), "utf-8")
    with pytest.raises(BadInputError, match="predictions were changed"):
        verify.verify(file)


def test_an_anonymous_file_says_nothing_of_who_and_where(
    study: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "wilhelmina")
    monkeypatch.setattr(make.socket, "gethostname", lambda: "gpu-17.lab.example.org")
    material = Material(get_study(study).model_copy(update={"note": "of the Lab", "tags": ["rebuttal"]}))
    run = material.runs[0]
    assert run.result is not None
    facts = {
        "platform": "Linux-6.1-gpu-17-x86_64", "code": "0123456789abcdef",
        "arguments": ["--path", "/home/wilhelmina/clicks"],
        "scan": "numba of wilhelmina at /home/wilhelmina/mdaf, see https://lab.example.org/x", "device": "gpu-17",
        "earlier": [{"epochs": 2, "code": "fedcba9876543210", "platform": "Linux-5.4-gpu-17-x86_64"}],
    }  # fmt: skip
    result = run.result.model_copy(update={"provenance": facts})
    files.write_result(run.run_id, result)
    made = make.capsule(material, anonymous=True)
    for word in (
        "wilhelmina", "/home", "gpu-17", "example.org", "of the Lab", "rebuttal", study, "onerror", "0123456789abcdef",
        str(home), str(tmp_path), Path.home().as_posix() + "/", "6.1-gpu", "5.4-gpu", "fedcba9876543210",
    ):  # fmt: skip
        assert word not in made.html, word
    assert "numba of [name] at [path], see [address]" in made.html and "<h1>A study</h1>" in made.html
    (tmp_path / "anonymous.html").write_text(made.html, "utf-8")
    assert not verify.verify(tmp_path / "anonymous.html").differences


def test_predictions_that_do_not_fit_lie_beside(study: str, tmp_path: Path) -> None:
    whole = make.capsule(Material(get_study(study)))
    size = len(whole.html.encode())
    less = make.capsule(Material(get_study(study)), None, most=1000)
    assert not less.beside and not less.record.gates and len(less.html.encode()) < size
    beside = make.capsule(Material(get_study(study)), "paper.html", most=1000)
    assert beside.record.gates
    (tmp_path / "paper.html").write_text(beside.html, "utf-8")
    with pytest.raises(UsageError, match=r"paper\.predictions"):
        verify.verify(tmp_path / "paper.html")
    (tmp_path / "paper.predictions").write_bytes(beside.beside)
    assert not verify.verify(tmp_path / "paper.html").differences


def test_what_its_predictions_contradict_is_not_sent_out(study: str) -> None:
    run = Material(get_study(study)).runs[0]
    assert run.result is not None
    better = run.result.test.model_copy(update={"auc": 0.99})
    files.write_result(run.run_id, run.result.model_copy(update={"test": better}))
    with pytest.raises(StudioError, match=r"holds auc = 0\.99, but its predictions give"):
        make.capsule(Material(get_study(study)))


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, np.int32, np.uint8])
def test_the_one_value_that_was_changed_is_found_again(kind: type[np.generic]) -> None:
    values = (np.random.default_rng(0).normal(size=500) * 50 + 100).astype(kind)
    seal = scores.sealed(values)
    assert scores.restored(values, seal) is None
    for at, value in ((0, 0), (7, 3), (499, 120)):
        altered = values.copy()
        altered[at] = value
        back = scores.restored(altered, seal)
        assert back is not None and back.tobytes() == values.tobytes()
        altered[8] += 1
        assert scores.restored(altered, seal) is None


def test_packing_keeps_every_bit() -> None:
    rng = np.random.default_rng(0)
    columns = {
        "logit": rng.normal(size=50), "single": rng.normal(size=50).astype(np.float32).astype(np.float64),
        "gone": np.array([np.nan, np.inf, -np.inf, -0.0, 1e300]), "id": rng.integers(0, 2**40, 50),
        "below": np.array([-5, 7]),
        "label": np.ones(50, np.uint8), "none": np.empty(0),
    }  # fmt: skip
    back = scores.unpack(scores.pack({"a": columns, "b": columns}))
    for name, values in columns.items():
        assert back["b"][name].dtype == values.dtype and back["a"][name].tobytes() == values.tobytes()
    assert len(scores.pack({"a": columns, "b": columns})) < 1.2 * len(scores.pack({"a": columns}))
    with pytest.raises(StudioError, match="cut short"):
        scores.unpack(scores.pack({"a": columns})[:-9])


def test_artifacts_are_elsewhere_within_and_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    before = get_settings().home
    with artifacts_in(tmp_path / "x"):
        assert get_settings().home == tmp_path / "x" and get_settings().tracking_uri.startswith("sqlite:")
    assert get_settings().home == before


def test_command_line(study: str, tmp_path: Path, file: Path) -> None:
    from mdaf_core.cli.main import app

    out = tmp_path / "out.html"
    result = CliRunner().invoke(app, ["capsule", study, "--out", str(out), "--title", "Two & three"])
    assert result.exit_code == 0 and "predictions are inside" in result.stdout
    assert "<h1>Two &amp; three</h1>" in out.read_text("utf-8")
    assert isinstance(CliRunner().invoke(app, ["capsule", study, "--out", str(tmp_path)]).exception, UsageError)
    file.write_text("<p>", "utf-8")
    assert isinstance(CliRunner().invoke(app, ["verify", str(file)]).exception, BadInputError)
