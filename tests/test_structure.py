"""Rules that keep the code easy to find one's way in: who may import whom, and what may not be loaded when."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "mdaf_core"

# One part a tier, the highest first: a part may import itself and those below it.
PARTS = (
    *("cli", "api", "tasks", "reporting", "studies", "queue", "analysis", "testing", "predicting", "training"),
    *("runs", "models", "data", "ops", "metrics", "forms", "plugins", "base"),
)
RANK = {part: rank for rank, part in enumerate(reversed(PARTS))}
MODULE = re.compile(r"mdaf_core(\.\w+)+(:\w*)?")
HEAVY = ("torch", "mlflow", "sklearn", "lightgbm", "scipy")

# Modules without a file of tests of their name that no test imports, by the tests that come to them through others.
TESTED_IN = {
    "analysis/test_one_run.py": "mdaf_core.cli: run pages: run",
    "analysis/test_two_runs.py": "pages: run_beside",
    "pages/test_curves_page.py": "pages: curves_options watch",
    "pages/test_studies_page.py": "pages: launch_starts studies study_manage",
    "pages/test_tuning_page.py": "pages: launch_tune tuning",
    "analysis/test_published.py": "mdaf_core.analysis.published.found",
    "cli": "mdaf_core.__main__ mdaf_core.cli: conclusions data evaluate gates imports jobs "
    "gate_views metrics options output predict results scores shelf speed store study",
    "data/test_export_folders.py": "mdaf_core.data.store: export_fuxictr export_libsvm",
    "data/test_formats.py": "mdaf_core.data.formats: criteo parts table mdaf_core.data.reading: described json_lines "
    "parts table_columns table_files",
    "data/test_going_on.py": "mdaf_core.data.prepare: sums write mdaf_core.data.reading: stages",
    "data/test_kuairand.py": "mdaf_core.data.reading: kuairand_files",
    "data/test_new_rows.py": "mdaf_core.data.apply: columns known new_rows",
    "data/test_planted_variants.py": "mdaf_core.data.audit: clock encodings files histories keys labels lists scales "
    "source splits texts together",
    "data/test_plugged_sources.py": "mdaf_core.data.formats: registry",
    "data/test_sources.py": "mdaf_core.data.formats: movielens synthetic user_behavior",
    "data/test_table_proposal.py": "mdaf_core.data.propose: known_files label look proposal roles words",
    "data/test_taobao_ads.py": "mdaf_core.data.formats: taobao_ads mdaf_core.data.reading: taobao taobao_ads_files",
    "models/test_all_models.py": "mdaf_core.base: two_steps mdaf_core.models: history",
    "ops/test_selective_scan.py": "mdaf_core.ops: kernels parallel_scan",
    "pages": "pages: compare compare_evidence compare_published compare_speed compare_views conditions "
    "criteria curves data export gate_rows gate_values gates jobs known launch launch_cost launch_form overview "
    "path_browser predictions_form prepare_form prepare_progress published shared study_plan uploading",
    "plugins/test_plugins.py": "mdaf_core.plugins: load",
    "queue/test_supervision.py": "mdaf_core.queue: launching",
    "queue/test_elsewhere.py": "mdaf_core.queue.elsewhere: hold ray_cluster",
    "tasks/test_training_elsewhere.py": "mdaf_core.tasks: node",
    "reporting/test_bundle.py": "mdaf_core.reporting: captions drawing figure words mdaf_core.reporting.paper: text "
    "mdaf_core.reporting.topics: published slices mdaf_core.reporting.topics.comparison: figures pairs reported "
    "mdaf_core.reporting.topics.curves: figures mdaf_core.reporting.topics.gates: figures frames",
    "reporting/test_capsule.py": "mdaf_core.reporting.capsule: parts rebuilt record",
    "runs/test_importing.py": "mdaf_core.runs: groups imported mdaf_core.runs.importing: keys matching positions "
    "record scores table",
    "runs/test_published.py": "mdaf_core.runs.published: fuxictr tensorboard",
    "runs/test_run_store.py": "mdaf_core.runs: files mdaf_core.runs.tracking: database entries recording "
    "records restore mdaf_core.studies: rebuild",
    "studies/test_study_store.py": "mdaf_core.studies: contributions pace",
    "studies/test_across.py": "pages: beside compare_across compare_results",
    "tasks/test_training_jobs.py": "mdaf_core.tasks: __main__ follow train",
    "testing": "mdaf_core.cli: check_model mdaf_core.testing: base capabilities configuration data elsewhere "
    "everywhere examination ids learning padding places repeats rows subject trees",
    "training/test_fit.py": "mdaf_core.training: draws neural",
}


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """What of a file's code the rules speak of, anywhere in it: imports, comparisons, calls and constants."""
    kinds = (ast.Import, ast.ImportFrom, ast.Compare, ast.Call, ast.Constant)
    return tuple(node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, kinds))


@cache
def imported(path: Path) -> frozenset[str]:
    """Names of all modules a file imports, anywhere in it."""
    names: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def taken(path: Path, files: dict[str, Path]) -> set[str]:
    """The modules among `files` that a file imports: `from package import module` takes the module alone."""
    names: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            names |= {inner if inner in files else node.module for inner in inside.values()}
    return names & files.keys()


def tops(names: Iterable[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


CORE_FILES = {module_of(path): path for path in sorted(CORE.rglob("*.py"))}
APP_FILES = {module_of(path): path for path in [*sorted(ROOT.glob("*.py")), *sorted((ROOT / "pages").glob("*.py"))]}


def part_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "mdaf_core" and parts[1] in RANK else None


def named(path: Path) -> set[str]:
    """Modules of the core that a file's strings name, such as those that are loaded or started by name."""
    texts = (node.value for node in nodes(path) if isinstance(node, ast.Constant))
    return {text.partition(":")[0] for text in texts if isinstance(text, str) and MODULE.fullmatch(text)}


def test_every_module_is_tested() -> None:
    """A file of tests has its name, a test imports it, or it is named in `TESTED_IN`."""
    named: set[str] = set()
    for place, modules in TESTED_IN.items():
        assert (ROOT / "tests" / place).exists(), place
        inside = ""
        for word in modules.split():
            if word.endswith(":"):
                inside = word.removesuffix(":") + "."
            else:
                named.add(word if "." in word else inside + word)
    files = {module: path for module, path in (CORE_FILES | APP_FILES).items() if path.name != "__init__.py"}
    assert named <= files.keys(), f"TESTED_IN names what is not there: {sorted(named - files.keys())}"
    tests = set((ROOT / "tests").rglob("*.py"))
    own = {path.stem.removeprefix("test_") for path in tests if path.stem.startswith("test_")}
    reached = set().union(*map(imported, tests)) | named | {module for module in files if module.split(".")[-1] in own}
    missing = sorted(files.keys() - reached - {"app", "mdaf"})
    assert not missing, f"No test names or imports {missing}: write tests, or say in TESTED_IN which come to it."


def test_every_module_is_of_a_part() -> None:
    assert not [m for m in CORE_FILES if not part_of(m) and m not in ("mdaf_core", "mdaf_core.__main__")]


@pytest.mark.parametrize("module", CORE_FILES)
def test_core_knows_no_streamlit_and_imports_downwards(module: str) -> None:
    """Imports within functions and for types alone count, and modules that are named by strings."""
    names = imported(CORE_FILES[module]) | named(CORE_FILES[module])
    assert not tops(names) & {"streamlit", "pages", "app"}
    own = part_of(module)
    if own is not None:
        above = {name for name in names if (part := part_of(name)) and RANK[part] > RANK[own]}
        assert not above, f"{own} must not name {sorted(above)}: dependencies point downwards"


@pytest.mark.parametrize("files", [CORE_FILES, APP_FILES], ids=["core", "pages"])
def test_no_module_leads_back_to_itself(files: dict[str, Path]) -> None:
    """No circle of modules of any kind: imports within functions and for types alone count."""
    graph = {module: taken(path, files) - {module} for module, path in files.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


@pytest.mark.parametrize("path", [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py"))], ids=lambda p: p.name)
def test_pages_never_import_torch(path: Path) -> None:
    names = tops(imported(path))
    assert not names & {"torch", "numba", "lightgbm"}


@pytest.mark.parametrize("path", sorted((ROOT / "pages").glob("*.py")), ids=lambda p: p.name)
def test_pages_draw_no_raw_html(path: Path) -> None:
    assert "unsafe_allow_html" not in path.read_text("utf-8")


def test_nothing_of_a_users_is_unpickled() -> None:
    for path in sorted(CORE.rglob("*.py")):
        text = path.read_text("utf-8")
        assert "pickle.load" not in text and "joblib.load" not in text, path
        for line in text.splitlines():
            assert "torch.load(" not in line or "weights_only=True" in line, f"{path}: {line.strip()}"


@pytest.mark.parametrize(
    "modules",
    [
        "mdaf_core.queue.api, mdaf_core.studies, mdaf_core.runs.tracking",
        "mdaf_core.runs.presets as p, mdaf_core.models.mdaf; p.preset_names()",
    ],
)
def test_start_up_loads_nothing_heavy(modules: str) -> None:
    """What the first page imports; a fresh interpreter tells."""
    assert not loaded(f"import {modules}") & set(HEAVY)


@pytest.mark.parametrize("words", [["--help"], ["study", "--help"]], ids=" ".join)
def test_help_loads_no_library_but_its_own(words: list[str]) -> None:
    """`--help` comes at once: no command is imported before it is asked for."""
    found = loaded(f"import mdaf_core.cli.main as cli; cli.app({words}, standalone_mode=False)")
    own = {"pydantic"} if len(words) > 1 else set()  # Typer's, for what a command is given
    assert "typer" in found
    assert not found & ({*HEAVY, "polars", "numpy", "pandas", "pydantic", "pydantic_settings"} - own)


def loaded(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded once it ran `code`."""
    code = f"import sys\n{code}\nprint('|', *{{m.split('.')[0] for m in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.rpartition("|")[2].split())


def test_significance_is_importable_alone(tmp_path: Path) -> None:
    """Its tests work on arrays from anywhere: no run store, no framework, no data set, nothing written."""
    code = (
        "import sys; from mdaf_core.analysis.significance import paired_auc; "
        "test = paired_auc([0, 1, 0, 1, 1, 0], [1, 2, 3, 4, 5, 6], [1, 3, 2, 6, 5, 4]); "
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'mlflow', 'torch', 'streamlit', 'polars', "
        "'pandas', 'sklearn', 'lightgbm'}), sorted(m for m in sys.modules if m.startswith(('mdaf_core.data', "
        "'mdaf_core.runs', 'mdaf_core.models', 'mdaf_core.base.settings'))), round(test.estimate, 4))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["[]", "[]", "-0.3333"] and not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", [*sorted(CORE.rglob("*.py")), *sorted((ROOT / "pages").glob("*.py"))], ids=str)
def test_no_model_is_known_by_its_name(path: Path) -> None:
    """What is true of a model is asked of its configuration: a list of names elsewhere forgets the next model."""
    from mdaf_core.models.registry import models

    own = {config.__name__ for config in models().values()} | {config.network for config in models().values()}
    for node in nodes(path):
        if isinstance(node, ast.Compare):
            constants = {n.value for side in node.comparators for n in ast.walk(side) if isinstance(n, ast.Constant)}
            of_model = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)} & {"kind", "model"}
            assert not (of_model and constants & set(models())), f"line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            classes = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
            assert not (classes & own) or path.name == "gbdt.py", f"line {node.lineno}"  # the trees' own trainer
