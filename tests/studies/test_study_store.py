"""Studies on disk, definitions, launching without running anything."""

from __future__ import annotations

import json
import threading

import pytest

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.files import write_json
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.queue import api, store, turns
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies import definitions, launch, suitable, trainings
from mdaf_core.studies import store as store_module
from mdaf_core.studies.definitions import configurations, definition_names, get_definition
from mdaf_core.studies.seeds import parse_seeds
from mdaf_core.studies.status import begin_visit, cells, changes_since, counts, next_step, spread
from mdaf_core.studies.store import create_study, get_study, list_studies
from mdaf_core.tasks.demo import run_demo


@pytest.fixture
def tiny(home, give_tiny):
    return give_tiny(home)


def create(**changes):
    values = {
        "title": "A title",
        "definition": "own",
        "dataset": "tiny",
        "configurations": [get_preset("lr"), get_preset("dcnv2")],
        "seeds": [42, 43],
        "reference": "lr",
    }
    return create_study(**{**values, **changes})


def test_a_study_comes_back_as_it_was_written(home):
    study = create(acknowledged=["time-overlap"], criteria=[{"name": "x"}])
    assert study.id == "own-tiny-1"
    assert get_study(study.id) == study
    assert create().id == "own-tiny-2"
    assert {s.id for s in list_studies()} == {"own-tiny-1", "own-tiny-2"}


def test_studies_made_in_one_second_are_listed_newest_first(home):
    made = [create(title=title, dataset=data).id for title, data in zip("bca", ("tiny", "again", "own"), strict=True)]
    assert [s.id for s in list_studies()] == made[::-1]


def test_of_an_older_study_the_second_it_was_made_in_is_known(home):
    study = create()
    old = study.model_copy(update={"created": "2026-01-02T03:04:05+00:00"})
    new = study.model_copy(update={"created": "2026-01-02T03:04:05.250000+00:00"})
    assert old.created_by == new.created_by + 0.75
    assert old.created < new.created < "2026-01-02T03:04:06+00:00", "as texts too, which is how they are sorted"


def test_studies_created_together_get_ids_of_their_own(home):
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.append(create().id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids) == [f"own-tiny-{n}" for n in range(1, 9)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 1]}, "twice"),
        ({"seeds": [-1]}, "seeds"),
        ({"configurations": []}, "configurations"),
        ({"configurations": [get_preset("lr")] * 2}, "share a name"),
        ({"reference": "bst"}, "not among"),
        ({"dataset": "../up"}, "cannot be used"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused(home, changes, said):
    with pytest.raises(UsageError, match=said):
        create(**changes)
    assert list_studies() == []


def test_an_unknown_or_damaged_study_is_a_sentence(home):
    study = create()
    with pytest.raises(UsageError, match=study.id):
        get_study("nothing")
    with pytest.raises(UsageError):
        get_study("../../etc/passwd")
    (home / "studies" / f"{study.id}.json").write_text("{")
    with pytest.raises(StudioError, match="cannot be read"):
        get_study(study.id)


def test_a_study_deleted_while_studies_are_listed_is_no_damage(home, monkeypatch):
    first, second = create(), create()
    plain = store_module._read

    def read(path):
        path.unlink() if path.stem == first.id else None
        return plain(path)

    monkeypatch.setattr(store_module, "_read", read)
    studies, damaged = store_module.readable_studies()
    assert [study.id for study in studies] == [second.id] and damaged == []


@pytest.mark.parametrize("name", definition_names())
def test_every_definition_can_be_built(name):
    definition = get_definition(name)
    configs = configurations(definition)
    assert list(dict.fromkeys(c.preset for c in configs)) == list(definition.presets)
    assert definition.histories or definition.factors or [c.name for c in configs] == list(definition.presets)
    assert definition.reference in {c.name for c in configs}
    from mdaf_core.analysis.criteria import preset_criteria

    for criteria in definition.criteria:
        assert preset_criteria(criteria)


def test_overrides_go_to_those_that_have_the_setting():
    configs = [get_preset("lr"), get_preset("dcnv2"), get_preset("mdaf-full")]
    changed = definitions.override_all(
        configs, ["training.max_epochs=3", "model.dropout=0.1", "model.static.dropout=0.2"]
    )
    assert [c.training.max_epochs for c in changed] == [3, 3, 3]
    assert (changed[1].model.dropout, changed[2].model.dropout) == (0.1, 0.1)
    assert changed[2].model.static.dropout == 0.2
    assert changed[0].model == configs[0].model


@pytest.mark.parametrize(
    "bad", ["model.nothing=1", "training.nothing=1", "model.dropout=7", "training.max_epochs", "=3"]
)
def test_an_override_that_fits_nowhere_is_refused(bad):
    with pytest.raises(UsageError):
        definitions.override_all([get_preset("lr"), get_preset("dcnv2")], [bad])


@pytest.mark.parametrize(
    ("text", "seeds"), [("42", [42]), ("42,43", [42, 43]), ("42-45", [42, 43, 44, 45]), (" 1 , 3-4 ", [1, 3, 4])]
)
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "1,,2", "5-3", "-1", "1.5", "0-999999"])
def test_seeds_that_are_none(text):
    with pytest.raises(UsageError, match="Seeds look like"):
        parse_seeds(text)


@pytest.mark.parametrize("seeds", [3, "42,43", ["42"], [True], [1.0], [-1], [2**32]])
def test_seeds_from_python_that_are_none(tiny, seeds):
    with pytest.raises(UsageError, match=r"a list of whole numbers|A seed is a whole number from 0 to 4294967295"):
        launch.run("demo", "tiny", seeds=seeds)
    assert list_studies() == []


def test_run_queues_every_configuration_and_seed_once(tiny):
    study = launch.run("demo", "tiny", seeds=[1, 2], overrides=["training.max_epochs=2"])
    jobs = store.list_jobs(group=study.id)
    assert set(trainings.of_study(study.id)) == {(c, s) for c in get_definition("demo").presets for s in (1, 2)}
    assert len(jobs) == 10
    assert all(job.payload["config"]["training"]["max_epochs"] == 2 for job in jobs)
    assert all(job.payload["provenance"]["study"] == study.id for job in jobs)
    assert study.criteria == []  # the report's thresholds are for other data
    assert launch.queue_missing(study) == []
    assert counts(cells(study)) == {"queued": 10}


def test_a_launch_that_was_interrupted_can_be_completed(tiny):
    study = create(dataset="tiny")
    assert next_step(study, cells(study)).target == "complete"
    store.add([trainings.training_job(study.id, study.configurations[0], "tiny", 42)])
    assert len(launch.queue_missing(study)) == 3
    assert counts(cells(study)) == {"queued": 4}


def test_only_some_configurations(tiny):
    study = launch.run("report-ablations", "tiny", seeds=[1], only=["lr", "dcnv2"])
    assert study.configuration_names == ["dcnv2", "lr"]
    assert study.reference == "dcnv2"
    with pytest.raises(UsageError, match="has no mdaf-none"):
        launch.run("report-ablations", "tiny", only=["mdaf-none"])


def fail_audit(dataset: PreparedDataset) -> None:
    audit = json.loads((dataset.path / "audit.json").read_text())
    audit["checks"][0] |= {"id": "too-good", "status": "fail", "sentence": "This is too good."}
    write_json(dataset.path / "audit.json", audit)


def test_a_failed_audit_blocks_until_it_is_acknowledged_by_name(tiny):
    fail_audit(tiny)
    with pytest.raises(UsageError, match=r"too good.*--acknowledge too-good"):
        launch.run("demo", "tiny")
    with pytest.raises(UsageError, match="cannot be acknowledged"):
        launch.run("demo", "tiny", acknowledged=["too-good", "another"])
    assert list_studies() == [] and store.list_jobs() == []
    study = launch.run("demo", "tiny", acknowledged=["too-good"])
    assert study.acknowledged == ["too-good"]
    assert all(job.payload["provenance"]["acknowledged"] == ["too-good"] for job in store.list_jobs())


def test_models_that_read_histories_need_some(tiny):
    meta = json.loads((tiny.path / "dataset.json").read_text())
    write_json(tiny.path / "dataset.json", {**meta, "history_fields": []})
    with pytest.raises(UsageError, match="mdaf-full, mdaf-sequential"):
        launch.run("demo", "tiny")
    possible = suitable.possible_presets(PreparedDataset.open("tiny"), ["lr", "bst", "dcnv2"])
    assert possible == ["lr", "dcnv2"]


def test_models_that_tell_users_apart_need_a_field_for_them(tiny):
    meta = json.loads((tiny.path / "dataset.json").read_text())
    fields = [field | {"role": "context"} if field["role"] == "user" else field for field in meta["fields"]]
    assert suitable.possible_presets(tiny, ["mdaf-plus"]) == ["mdaf-plus"] and fields != meta["fields"]
    write_json(tiny.path / "dataset.json", {**meta, "fields": fields})
    apart = get_preset("mdaf-plus")
    alone = apart.with_overrides(["model.sequential.co_occurrence=false"])
    with pytest.raises(UsageError, match=r"no field for users.*: mdaf-plus"):
        suitable.check_inputs("tiny", [apart])
    suitable.check_inputs("tiny", [alone])
    assert suitable.possible_presets(PreparedDataset.open("tiny"), ["mdaf-plus", "mdaf-full"]) == ["mdaf-full"]


def test_the_demo_prepares_its_data_first_and_only_once(home):
    first = run_demo()
    prepare_job = next(j for j in store.list_jobs() if j.kind == "prepare")
    assert {j.depends_on for j in store.list_jobs(group=first.id)} == {prepare_job.id}
    second = run_demo()
    assert {j.depends_on for j in store.list_jobs(group=second.id)} == {prepare_job.id}
    assert turns.claim(5).id == prepare_job.id
    assert turns.claim(5) is None


def test_spread_over_seeds(tiny):
    from tests.reporting.example_study import make_study

    study = make_study(["mdaf-full", "lr"], [1, 2, 3], failed=[("lr", 3)])
    found = cells(study)
    assert counts(found) == {"finished": 5, "failed": 1}
    values = [c.result.test.auc for c in found if c.configuration == "mdaf-full"]
    over = spread([c for c in found if c.configuration == "mdaf-full"], "test", "auc")
    mean = sum(values) / 3
    assert over.mean == pytest.approx(mean)
    assert over.sd == pytest.approx((sum((v - mean) ** 2 for v in values) / 2) ** 0.5)
    lr = spread([c for c in found if c.configuration == "lr"], "val", "auc")
    assert lr.seeds == 2
    one = spread(found[:1], "val", "auc")
    assert one.sd is None and one.seeds == 1
    assert spread([], "val", "auc").mean is None


def test_changes_since_the_last_visit(tiny):
    study = launch.run("demo", "tiny", seeds=[1])
    assert begin_visit(study.id) is None
    job_id = store.list_jobs(group=study.id)[0].id
    api.cancel(job_id)
    before = begin_visit(study.id)
    assert [c.job.id for c in changes_since(cells(study), before)] == [job_id]
    assert changes_since(cells(study), begin_visit(study.id)) == []


def test_settings_are_generated_with_their_limits():
    from mdaf_core.runs.presets import preset_names
    from mdaf_core.studies.settings_form import settings

    for name in preset_names():
        config = get_preset(name)
        for setting in settings(config):
            assert setting.description, setting.path
            value = "null" if setting.value is None else json.dumps(setting.value)
            assert config.with_overrides([f"{setting.path}={value}"]) == config
            if setting.maximum is not None:
                with pytest.raises(UsageError):
                    config.with_overrides({setting.path: setting.maximum * 2 + 1})


REFUSED = [
    ({"training.learning_rate": -0.001}, {"training.learning_rate": "Learning rate must be above 0; it is -0.001."}),
    ({"training.label_smoothing": 1.0}, {"training.label_smoothing": "Label smoothing must be below 1; it is 1.0."}),
    ({"training.max_epochs": 0}, {"training.max_epochs": "Max epochs must be at least 1; it is 0."}),
    ({"training.batch_size": None}, {"training.batch_size": "Batch size cannot be empty."}),
    ({"model.hidden_units": "32; 16"}, {"model.hidden_units": "Hidden units takes whole numbers separated by commas"}),
    ({"model.hidden_units": [32, 0]}, {"model.hidden_units": "Hidden units, entry 2, must be at least 1; it is 0."}),
    (
        {"model.sequential.kind": "bst", "model.sequential.heads": 3},
        {"model.sequential.heads": "Hidden dim (128)"},
    ),
    (
        {"model.static.num_heads": 5, "training.max_epochs": -1},
        {"model.static.num_heads": "", "training.max_epochs": ""},
    ),
]


@pytest.mark.parametrize(("changes", "sentences"), REFUSED)
def test_changes_that_are_not_valid_leave_the_others(changes, sentences):
    from mdaf_core.studies.settings_form import apply

    start = get_preset("mdaf-full")
    config, refused = apply(start, {"training.warmup_epochs": 3, **changes})
    assert config.training.warmup_epochs == 3 and refused.keys() == sentences.keys()
    for path, said in sentences.items():
        assert refused[path].startswith(said) and "_" not in refused[path]
    assert apply(start, {path: changes[path] for path in changes if path not in refused})[1] == {}


def test_costs_are_counted_in_a_process_of_their_own(tiny, processes):
    from mdaf_core.base.settings import get_settings
    from mdaf_core.models.summary import count_parameters
    from mdaf_core.studies.estimate import estimate, known_costs, settled
    from tests.waiting import traces, wait_until

    configs = [get_preset("dcnv2"), get_preset("gbdt")]
    assert known_costs(configs, tiny) == [None, None]
    wait_until(lambda: settled(configs, tiny, known_costs(configs, tiny)), traces(get_settings().home), every=0.2)
    costs = known_costs(configs, tiny)
    counted = count_parameters(configs[0].model, tiny.meta.features())
    assert (costs[0].parameters, costs[0].embedding) == (counted.total, counted.embedding)
    assert costs[1].parameters is None and costs[1].note
    one = estimate(configs[0], tiny, costs[0])
    assert one.seconds == costs[0].pace.seconds(configs[0], tiny) and one.measured
    assert one.memory_bytes > costs[0].training_bytes
    assert costs[1].pace is None and not estimate(configs[1], tiny, costs[1]).measured


def test_time_is_estimated_from_earlier_runs_of_the_same_model(tiny):
    from mdaf_core.studies.estimate import Cost, estimate
    from tests.reporting.example_study import make_study

    make_study(["mdaf-full"], [1], dataset=tiny)  # five epochs in 5 s
    one = estimate(get_preset("mdaf-full"), tiny, Cost(multiply_adds=50_000))
    assert one.seconds == pytest.approx(20.0) and one.measured
    assert estimate(get_preset("mdaf-full"), tiny, Cost(multiply_adds=100_000)).seconds == pytest.approx(40.0)
    assert not estimate(get_preset("lr"), tiny, Cost(multiply_adds=1)).measured
