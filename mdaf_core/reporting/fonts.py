"""Fonts of figures: STIX, and for names in scripts that a paper's fonts lack, a subset of a font that has them.

Liberation Sans is the renderer's own. Figures with other scripts (Chinese, Japanese, Korean, Arabic, …) are drawn whole
in one font that has all of their characters: the first that covers the most of the folder `MDAF_FONTS`, an installed
package of Noto Sans CJK, and this machine's fonts. What none has is told, since the renderer draws a box.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mdaf_core.base.files import write_bytes
from mdaf_core.base.settings import get_settings
from mdaf_core.reporting.drawing import vl_convert

_NAME = "Subset"
_ALWAYS = (*map(chr, range(32, 127)), "…", "−")
_contents: dict[str, bytes] = {}
PACKAGE = "cvttf-notosanscjk-regular"
_MODULE = "cvttf_NotoSansCJK_Regular"
_BEYOND = re.compile("[\u0590-\u1dff\u2e80-\ufaff\ufb50-\U0010ffff]")
_TEXT = re.compile(r"<text\b[^>]*>(.*?)</text>", re.DOTALL)
_TAG = re.compile("<[^>]*>")
_ENDINGS = (".ttf", ".otf", ".ttc", ".otc")
_FORBIDS_EMBEDDING, _FORBIDS_SUBSETS = 0x0002, 0x0100  # OS/2 fsType


def beyond(text: str) -> str:
    """The characters of a text that the fonts of papers may lack, each once, in order of code."""
    return "".join(sorted(set(_BEYOND.findall(text))))


def undrawn(svg: str) -> str:
    """Characters of a drawing that no font here has."""
    characters = beyond("".join(_words(found[1]) for found in _TEXT.finditer(svg)))
    return "".join(c for c in characters if c not in _covered(characters)) if characters else ""


def undrawn_note(characters: str) -> str:
    """A sentence on characters that will be drawn as boxes, and what to do; empty: none."""
    if not characters:
        return ""
    some = characters[:12] + ("…" if len(characters) > 12 else "")
    return (
        f"No font on this machine has {some}: figures show boxes in their place. Install one (`pip install {PACKAGE}`: "
        "Noto Sans CJK, for Chinese, Japanese and Korean), or name a folder of fonts in MDAF_FONTS."
    )


def with_scripts(spec: dict[str, Any], font: str) -> dict[str, Any]:
    """A specification whose texts name a font that has the scripts they are in, which the renderer then knows; as it
    was where there are none, or no font.

    All its texts do, so that a figure has one typeface, and one font: of several the writer of PDF files numbers each
    time another one first, and the same figure would not be the same bytes.

    Args:
        font: families that the specification names.
    """
    text = json.dumps(spec, ensure_ascii=False)
    found = _font_with(characters) if (characters := beyond(text)) else None
    if found is None:
        return spec
    family = _made_of(found, "".join(sorted({*text, *_ALWAYS})))
    return json.loads(text.replace(f'"{font}"', f'"{family}, {font}"'))


def embedded(svg: str) -> str:
    """A drawing with the font of `with_scripts` in it, for viewers (browsers) that do not have it."""
    found = re.search(rf'"({_NAME}[0-9a-f]+), ', svg)
    if found is None or found[1] not in _contents:
        return svg
    data = base64.b64encode(_contents[found[1]]).decode()
    style = f'<style>@font-face{{font-family:"{found[1]}";src:url("data:font/otf;base64,{data}")}}</style>'
    end = svg.index(">", svg.index("<svg")) + 1
    return svg[:end] + style + svg[end:]


@lru_cache(maxsize=1)
def register_stix() -> None:
    """Make STIX and DejaVu, which Matplotlib brings, known to the renderer; not its LastResort, boxes for all."""
    folder = _folder("matplotlib")
    for path in _of_matplotlib():
        if not (folder / path.name).exists():
            shutil.copyfile(path, folder / path.name)
    vl_convert.register_font_directory(str(folder))


def _words(inner: str) -> str:
    return unescape(_TAG.sub("", inner))


def _of_matplotlib() -> list[Path]:
    spec = find_spec("matplotlib")
    folders = [
        Path(folder) / "mpl-data" / "fonts" / "ttf" for folder in (spec and spec.submodule_search_locations) or ()
    ]
    return [
        path
        for folder in folders
        for path in sorted(folder.glob("*.ttf"))
        if path.name.startswith(("STIXG", "DejaVuSans"))
    ]


def _candidates() -> Iterator[Path]:
    """Font files, those to be preferred first."""
    given = get_settings().fonts
    if given is not None:
        yield from _in(given.expanduser())
    package = find_spec(_MODULE)
    for folder in (package and package.submodule_search_locations) or ():
        yield from _in(Path(folder))
    yield from _of_matplotlib()
    from matplotlib.font_manager import findSystemFonts

    yield from sorted({Path(path) for path in findSystemFonts()}, key=_oddness)


def _in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _ENDINGS]


def _oddness(path: Path) -> tuple[int, str]:
    name = path.stem.lower()
    odd = sum(
        word in name for word in ("bold", "black", "light", "thin", "italic", "mono", "serif", "ming", "song", "emoji")
    )
    return odd, str(path)


def _characters_of(path: Path) -> set[int]:
    """Codes of what a font file draws; none where it cannot be read, or does not allow a subset of it in a file."""
    from fontTools.ttLib import TTFont

    with suppress(Exception), TTFont(path, fontNumber=0, lazy=True) as font:
        forbidden = font["OS/2"].fsType & (_FORBIDS_EMBEDDING | _FORBIDS_SUBSETS)
        if not forbidden and "CFF2" not in font:  # of which neither the renderer nor fontTools makes a fixed weight
            return set(font.getBestCmap() or ())
    return set()


def _font_with(characters: str) -> Path | None:
    """The font that has the most of these characters; None: none has any."""
    return _found(characters, str(get_settings().fonts))[0]


def _covered(characters: str) -> str:
    return _found(characters, str(get_settings().fonts))[1]


@lru_cache(maxsize=64)
def _found(characters: str, _folder: str) -> tuple[Path | None, str]:
    best: tuple[Path | None, str] = (None, "")
    for path in _candidates():
        codes = _characters_of(path)
        has = "".join(c for c in characters if ord(c) in codes)
        if len(has) > len(best[1]):
            best = path, has
        if len(has) == len(characters):
            break
    return best


@lru_cache(maxsize=64)
def _made_of(path: Path, characters: str) -> str:
    """The family of a font of these characters alone, at its regular weight, once the renderer knows it."""
    from fontTools import subset
    from fontTools.ttLib import TTFont
    from fontTools.varLib import instancer

    options = subset.Options(recalc_timestamp=False, notdef_outline=True, name_IDs=[0, 1, 2, 4, 6, 13, 14])
    font: Any = TTFont(path, fontNumber=0, lazy=True, recalcTimestamp=False)
    worker = subset.Subsetter(options)
    worker.populate(text=characters)
    worker.subset(font)
    if "fvar" in font:
        part = io.BytesIO()
        font.save(part)
        font = TTFont(part, recalcTimestamp=False)
        weights = {axis.axisTag: axis.defaultValue for axis in font["fvar"].axes}
        if "wght" in weights:
            weights["wght"] = 400
        font = instancer.instantiateVariableFont(font, weights)
    digest = sha256(f"{path.name} {path.stat().st_size} {characters}".encode()).hexdigest()[:12]
    family = f"{_NAME}{digest}"
    for number in (1, 4, 6, 16, 17):
        font["name"].removeNames(nameID=number)
    for number in (1, 4, 6):
        font["name"].setName(family, number, 3, 1, 0x409)
    out = io.BytesIO()
    font.save(out, reorderTables=True)
    folder = _folder(family)
    write_bytes(folder / f"{family}.otf", out.getvalue())
    vl_convert.register_font_directory(str(folder))
    _contents[family] = out.getvalue()
    return family


def _folder(name: str) -> Path:
    """A folder of fonts for the renderer: of the cache, or a temporary one where that cannot be written."""
    folder = get_settings().cache_dir / "fonts" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".w").touch()
        (folder / ".w").unlink()
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    return folder
