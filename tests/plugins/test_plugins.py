"""Plug-ins: found, read as they are now, said where they are faulty, kept with a run and run again only where asked."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mdaf_core import plugins
from mdaf_core.base import notices
from mdaf_core.base.errors import DamagedFileError, StudioError, UsageError
from mdaf_core.data.formats.registry import get_source
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.models.registry import build_model, models, plugins_of
from mdaf_core.models.weights import load_model, save_weights
from mdaf_core.plugins import kept, named
from mdaf_core.queue import api
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.presets import get_preset, preset_names
from mdaf_core.studies import changing, settings_form
from mdaf_core.studies.definitions import Definition, get_definition
from mdaf_core.studies.settings_form import settings
from mdaf_core.studies.store import create_study, get_study, list_studies
from tests.models.batches import USUAL, random_batch
from tests.plugins.example import SOURCE, name

CONFIG = "class C(ModelSettings):\n    {}\n"
IMPORTS = "from mdaf_core.models.base import CTRModel, ModelSettings, Preset\n"


def listed() -> tuple[list[str], list[str]]:
    """The presets, and what was said meanwhile."""
    with notices.collect() as said:
        return preset_names(), list(said)


def test_a_plugin_adds_its_models_everywhere(tmp_path, monkeypatch):
    before = preset_names()
    file = name(tmp_path / "my_models.py", monkeypatch)
    names, said = listed()
    assert names == [*before, "share", "share-gated"] and not said
    assert list(models())[-2:] == ["share", "difference-gate"]
    config = get_preset("share")
    assert config.training.learning_rate == 0.01 and config.with_overrides(["model.power=2"]).model.power == 2
    with pytest.raises(UsageError, match=r"model\.power must be above 0"):
        config.with_overrides(["model.power=0"])
    assert {s.path: s.maximum for s in settings(config)}["model.power"] == 4
    (plugin,) = plugins_of(get_preset("share-gated").model)
    assert plugin.file == file and not plugins_of(get_preset("bst").model)
    batch = random_batch(USUAL, [3, 0, 5])
    gated = build_model(get_preset("share-gated").model, USUAL).eval()
    assert gated.gated and gated(batch).gate_B.shape == (3,)
    monkeypatch.delenv("MDAF_PLUGINS")
    assert preset_names() == before


def test_a_history_model_of_a_plugin_can_be_a_branch_of_mdaf(tmp_path, monkeypatch):
    name(tmp_path / "my_models.py", monkeypatch)
    choices = next(s for s in settings(get_preset("mdaf-full")) if s.path == "model.sequential.kind").choices
    assert {"bst", "din", "mamba4rec", "share"} <= set(choices)
    config = get_preset("mdaf-full").with_overrides(["model.sequential.kind=share", "model.sequential.power=2"])
    model = build_model(config.model, USUAL)
    assert type(model.sequential).__name__ == "ShareEncoder" and plugins_of(config.model)
    model.loss(model(random_batch(USUAL, [2, 0])), torch.ones(2)).backward()


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("x = 1\ny = (\n", r"my\.py, line 2: SyntaxError: '\(' was never closed"),
        ("\nimport not_there_at_all\n", r"my\.py, line 2: ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("import math\n\nmath.nothing\n", r"my\.py, line 3: AttributeError: module 'math' has no attribute 'nothing'"),
        ("raise SystemExit('done')\n", r"my\.py, line 1: SystemExit: done"),
        ("x = 1\n", r"my\.py defines no model"),
        ("import torch\nclass Net(torch.nn.Module): pass\n", r"my\.py defines no model"),
        ("x = '\0'\n", r"my\.py.*null bytes"),
        (IMPORTS + CONFIG.format("network = 'N'"), r"my\.py, line 2: C has no name of its own"),
        (IMPORTS + CONFIG.format("kind: str = 'bst'"), r"my\.py, line 2: C has the kind 'bst', which is another"),
        (IMPORTS + CONFIG.format("kind: str = 'c'; network = 'N'"), r"C has network = 'N', and .*my\.py defines no N"),
        (IMPORTS + CONFIG.format("kind: str = 'c'; width: int"), r"line 2: C needs a default for every setting: width"),
        (
            IMPORTS + CONFIG.format("kind: str = 'c'; network = 'N'; lacks_gate = property(lambda self: 1 / 0)")
            + "class N(CTRModel): pass\n",
            r"line 2: C: ZeroDivisionError",
        ),
        (
            IMPORTS + CONFIG.format("kind: str = 'c'; network = 'N'") + "class N(CTRModel): pass\n"
            "PRESETS = [Preset('lr', 'x', C())]\n",
            r"line 5: the name 'lr' is another preset's",
        ),
        (
            IMPORTS + CONFIG.format("kind: str = 'c'; network = 'N'") + "class N(CTRModel): pass\n"
            "PRESETS = [Preset('c', 'x', C(), {'learning_rate': -1})]\n",
            r"Preset c cannot be used: learning_rate must be above 0",
        ),
    ],
)  # fmt: skip
def test_a_fault_is_a_sentence_with_its_line_and_ends_nothing(tmp_path, monkeypatch, source, sentence):
    before = preset_names()
    name(tmp_path / "my.py", monkeypatch, source)
    names, said = listed()
    assert set(before) <= set(names) and len(said) == 1
    assert re.search(sentence, said[0]), said
    assert "Traceback" not in said[0] and "\n" not in said[0]
    assert get_preset("bst").model.kind == "bst"


def test_files_that_are_none(tmp_path, monkeypatch):
    monkeypatch.setenv("MDAF_PLUGINS", os.pathsep.join([str(tmp_path / "gone.py"), str(tmp_path), ""]))
    assert [fault.rpartition(": ")[2] for fault in plugins.faults()] == [
        "No such file or directory.",
        "Is a directory.",
    ]
    with pytest.raises(UsageError, match="separates plug-ins"):
        plugins.name([f"a{os.pathsep}b.py"])


def test_a_changed_file_is_read_as_it_is_now(tmp_path, monkeypatch):
    file = name(tmp_path / "my.py", monkeypatch)
    old = get_preset("share").model
    stamp = file.stat()
    file.write_text(SOURCE.replace("le=4", "le=9"), "utf-8")
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    assert get_preset("share").with_overrides(["model.power=8"]).model.power == 8
    file.write_text("x = (", "utf-8")
    assert "share" not in preset_names() and "line 1" in plugins.faults()[0]
    assert type(old).model_fields["power"].metadata  # what was read before still stands
    assert not list(tmp_path.rglob("*.pyc"))


def test_stored_configurations_open_without_their_plugin(tmp_path, monkeypatch):
    name(tmp_path / "my.py", monkeypatch)
    stored = [get_preset(n).model_dump_json() for n in ("share", "share-gated")]
    whole = get_preset("mdaf-full").with_overrides(["model.sequential.kind=share"]).model_dump_json()
    monkeypatch.delenv("MDAF_PLUGINS")
    for text in [*stored, whole]:
        config = RunConfig.model_validate_json(text)
        assert config.model_dump_json() == text
        with pytest.raises(StudioError, match=r"There is no model '(share|difference-gate)' here.*--plugin"):
            build_model(config.model, USUAL)
        with pytest.raises(UsageError, match="must be one of"):
            config.with_overrides(["training.max_epochs=2"])


def test_a_study_is_not_added_to_without_its_plugin(home, tmp_path, monkeypatch):
    """Its trainings would all fail, and the study wait for the seeds that were written down."""
    prepare("synthetic", name="tiny", options={"size": "tiny"})
    name(tmp_path / "my.py", monkeypatch)
    configs = [get_preset("share"), get_preset("lr")]
    study = create_study(
        title="Mine", definition="own", dataset="tiny", configurations=configs, seeds=[1], reference="lr"
    )
    monkeypatch.delenv("MDAF_PLUGINS")
    refused = pytest.raises(StudioError, match=r"There is no model 'share' here.*--plugin")
    with refused:
        changing.extend(study.id, [2])
    with refused:
        changing.clone(study.id)
    with refused:
        settings_form.apply(get_study(study.id).configuration("share"), {})
    assert get_study(study.id).model_dump_json() == study.model_dump_json()
    assert [one.id for one in list_studies()] == [study.id]
    assert not api.list_jobs()


def test_what_was_stored_opens_though_its_plugin_takes_other_settings_now(tmp_path, monkeypatch):
    file = name(tmp_path / "my.py", monkeypatch)
    stored = get_preset("share").with_overrides(["model.power=3"]).model_dump_json()
    nested = get_preset("mdaf-full").with_overrides(["model.sequential.kind=share"]).model_dump_json()
    file.write_text(SOURCE.replace("power", "exponent").replace("le=4", "le=50"), "utf-8")
    for text in (stored, nested):
        config = RunConfig.model_validate_json(text)
        assert config.model_dump_json() == text
        with pytest.raises(StudioError, match=r"my\.py takes other settings now: power is not known here"):
            build_model(config.model, USUAL)
        with pytest.raises(UsageError, match="power is not known here"):
            config.with_overrides(["training.max_epochs=2"])


def test_weights_are_read_with_the_source_they_were_trained_with(tmp_path, monkeypatch):
    file = name(tmp_path / "my.py", monkeypatch)
    config, batch = get_preset("share").model, random_batch(USUAL, [3, 0, 5])
    model = build_model(config, USUAL).eval()
    run = tmp_path / "run"
    run.mkdir()
    save_weights(model, run / "weights.safetensors")
    kept.keep(plugins_of(config), run)
    (entry,) = kept.kept_in(run)
    assert (run / "plugins" / entry.source).read_text() == SOURCE and kept.same(run, plugins_of(config))
    (there := tmp_path / "there").mkdir()  # a copy of it, on another machine
    kept.keep([replace(plugin, file=there / "my.py") for plugin in plugins_of(config)], run)
    assert kept.kept_in(run) == [entry] and entry.file == str(file)
    assert torch.equal(load_model(config, USUAL, run / "weights.safetensors")(batch).logit_B, model(batch).logit_B)

    lines = SOURCE.splitlines()
    at = next(i for i, line in enumerate(lines) if "** self.power" in line)
    file.write_text(SOURCE.replace(" ** self.power", " * 0"), "utf-8")
    with pytest.raises(StudioError, match=f"first at line {at + 1}; lines removed: 1, added: 1.*--run-plugin"):
        load_model(config, USUAL, run / "weights.safetensors")
    monkeypatch.delenv("MDAF_PLUGINS")
    with pytest.raises(StudioError, match="which is not named"):
        load_model(config, USUAL, run / "weights.safetensors")
    monkeypatch.setenv(plugins.RUN_KEPT, "1")
    unknown = RunConfig.model_validate_json(
        f'{{"name": "a", "preset": "a", "model": {config.model_dump_json()}}}'
    ).model
    assert torch.equal(load_model(unknown, USUAL, run / "weights.safetensors")(batch).logit_B, model(batch).logit_B)
    assert "share" not in models()  # for this run alone
    (run / "plugins" / entry.source).write_text("import os\n" + SOURCE)
    with pytest.raises(DamagedFileError, match="not the source"):
        load_model(unknown, USUAL, run / "weights.safetensors")


def test_a_forward_that_answers_otherwise_is_told(tmp_path, monkeypatch):
    source = SOURCE.replace("** self.power", "** self.power") + (
        "\n\nclass PlainConfig(ShareConfig):\n    network = 'Plain'\n    kind: Literal['plain'] = 'plain'\n\n\n"
        "from mdaf_core.models.base import CTRModel\n\n\n"
        "class Plain(CTRModel):\n    def __init__(self, config, features):\n        super().__init__(features)\n\n"
        "    def forward(self, batch):\n        return batch.label_B\n"
    )
    name(tmp_path / "my.py", monkeypatch, source)
    line = source[: source.index("    def forward(self, batch)")].count("\n") + 1
    model = build_model(get_preset("plain").model, USUAL)
    with pytest.raises(plugins.PluginError, match=rf"my\.py, line {line}: forward must return an Output.*Tensor"):
        model(random_batch(USUAL, [1, 2]))


def test_studies_of_a_plugin(tmp_path, monkeypatch):
    source = SOURCE + (
        "\nfrom mdaf_core.studies.definitions import Definition\n\n"
        "MINE = Definition('mine', 'Mine', presets=('share', 'lr'), reference='share')\n"
        "TAKEN = Definition('demo', 'Not the demo', presets=('lr',), reference='lr')\n"
    )
    name(tmp_path / "my.py", monkeypatch, source)
    with notices.collect() as said:
        assert isinstance(get_definition("mine"), Definition) and get_definition("demo").title != "Not the demo"
    assert any("there is a study 'demo' already" in sentence for sentence in said)


def test_a_source_that_is_not_there_may_be_a_plugins(monkeypatch):
    monkeypatch.delenv("MDAF_PLUGINS", raising=False)
    with pytest.raises(UsageError, match=r"There is no source 'deck'\. Known: synthetic.*named \(--plugin\)"):
        get_source("deck")


def test_a_package_offers_models(tmp_path, monkeypatch):
    (tmp_path / "offering.py").write_text(SOURCE)
    facts = tmp_path / "offering-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: offering\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[mdaf.models]\nshare = offering\nbroken = not_there_at_all:X\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    named._installed.cache_clear()
    try:
        names, said = listed()
        assert names[-2:] == ["share", "share-gated"]
        assert len(said) == 1 and "broken" in said[0] and "No module named" in said[0]
    finally:
        named._installed.cache_clear()
        sys.modules.pop("offering", None)


def test_what_may_be_offered_is_there():
    """The classes are known by their names: `plugins` is below the rooms that own them."""
    import mdaf_core.data.formats.registry
    import mdaf_core.metrics.registry  # noqa: F401

    for path in named._CLASSES.values():
        module, _, attribute = path.partition(":")
        assert isinstance(getattr(sys.modules[f"mdaf_core.{module}"], attribute), type)


def test_paths_are_made_absolute_once(tmp_path, monkeypatch):
    monkeypatch.delenv("MDAF_PLUGINS", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MDAF_PLUGINS", "one.py")
    plugins.name([Path("two.py"), tmp_path / "one.py"])
    assert os.environ["MDAF_PLUGINS"].split(os.pathsep) == [str(tmp_path / "one.py"), str(tmp_path / "two.py")]
