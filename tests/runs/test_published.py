"""Tables of other people's runs: what is recognised, what is left out, what is refused."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.runs.published import kept
from mdaf_core.runs.published.columns import number, part_and_metric, propose, with_choices
from mdaf_core.runs.published.metric import metric_of
from mdaf_core.runs.published.opened import open_runs
from mdaf_core.runs.published.read import read_runs
from mdaf_core.runs.published.table import build


def read(path, **chosen):
    raw = read_runs(path)
    columns = with_choices(propose(raw.frame), raw.frame, **chosen)
    opened, said = open_runs(path, **chosen)
    assert opened.runs == build(raw.frame, columns).runs and said[0].startswith("Read as")
    return columns, build(raw.frame, columns)


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("val_auc", ("val", "auc")),
        ("Valid AUC", ("val", "auc")),
        ("testLogLoss", ("test", "logloss")),
        ("metrics.test_roc_auc", ("test", "auc")),
        ("gAUC", (None, "gauc")),
        ("test/NDCG@10", ("test", "ndcg_10")),
        ("leaderboard_auc", ("shown", "auc")),
        ("best_val_acc", ("val", "acc")),
        ("mean_test_score", ("test", "score")),
        ("metric_error_val", ("val", "error")),
        ("train_auc", None),
        ("test_time", None),
        ("n_test_rows", None),
        ("auc_std", None),
        ("params.loss", None),
        ("epoch", None),
    ],
)
def test_names_of_figures(name, found):
    assert part_and_metric(name) == found


@pytest.mark.parametrize(
    ("key", "direction"),
    [("auc", 1), ("logloss", -1), ("rmse", -1), ("accuracy", 1), ("test_err", -1), ("hr_10", 1), ("val_mae", -1)],
)
def test_directions(key, direction):
    assert metric_of(key, key, []).direction == direction


def test_numbers_as_tables_write_them():
    assert [number(t) for t in ("0.81", "81%", "0.813 ± 0.002", "0.8 (0.01)", "1e-3", "OOM", "", None)] == [
        0.81, 0.81, 0.813, 0.8, 0.001, None, None, None
    ]  # fmt: skip


def test_percent_failed_repeated_and_empty_lines_are_said(tmp_path):
    path = write(
        tmp_path / "runs.csv",
        "Dataset,Method,Random Seed,status,lr,Test Accuracy (%),notes",
        *(f"cifar,{m},{s},ok,0.1,{80 + i + s / 10},x{i}{s}" for i, m in enumerate("ab") for s in (0, 1, 2)),
        "cifar,a,0,ok,0.1,80.0,again",
        "cifar,b,7,failed,0.1,12.0,y",
        "cifar,b,8,ok,0.1,OOM,z",
    )
    columns, found = read(path)
    assert (columns.data_set, columns.model, columns.seed, columns.setting) == (
        "Dataset",
        "Method",
        ["Random Seed"],
        [],
    )
    assert len(found.runs) == 6 and found.runs[0].test == {"accuracy": 0.8}
    said = " ".join(found.notes)
    for words in (
        "1 failed",
        "1 line is the same as another",
        "'OOM' (1)",
        "1 line is without a figure left out",
        "in percent",
    ):
        assert words in said, (words, said)


def test_mlflow_and_wandb_exports(tmp_path):
    path = write(
        tmp_path / "mlflow.csv",
        "run_id,experiment_id,status,start_time,metrics.val_auc,metrics.test_auc,metrics.epoch,params.model,"
        "params.dataset,params.lr,params.seed",
        *(
            f"{m}{lr}{s},1,FINISHED,2024-01-01,0.{70 + s},0.{60 + s},{s},{m},criteo,{lr},{s}"
            for m in ("fm", "lr") for lr in (0.1, 0.2) for s in (1, 2)
        ),
        "x,1,FAILED,2024-01-01,,,,fm,criteo,0.1,3",
        "y,1,FINISHED,2024-01-01,1.7976931348623157e+308,1.7976931348623157e+308,1,fm,criteo,0.1,4",  # its infinity
    )  # fmt: skip
    columns, found = read(path)
    assert (columns.model, columns.data_set, columns.seed) == ("params.model", "params.dataset", ["params.seed"])
    assert columns.setting == ["params.lr"] and columns.test == {"auc": "metrics.test_auc"} and len(found.runs) == 8
    path = write(
        tmp_path / "wandb.csv",
        '"Name","State","Notes","User","Tags","Created","Runtime","Sweep","arch","dropout","seed","test/ndcg@10","_step"',
        *(
            f'"r{a}{s}","finished","","me","","2024","60","","{a}","0.1","{s}","0.{30 + s}","9"'
            for a in ("sasrec", "gru")
            for s in (1, 2)
        ),
    )
    columns, found = read(path)
    assert (columns.model, columns.data_set, columns.seed, columns.state) == ("arch", None, ["seed"], "State")
    assert [run.test for run in found.runs if run.model == "gru"] == [{"ndcg_10": 0.31}, {"ndcg_10": 0.32}]


LINE = (
    "{seed} 20230101-1200,[command] python run_expid.py --config Criteo/{model}_criteo_x1/{model}_tuner --expid X,"
    "[exp_id] {exp}_criteo_x1_00{i}_1234abc{i},[dataset_id] criteo_x1_7b681156,[train] N.A.,"
    "[val] AUC: 0.8{i} - logloss: 0.44,[test] gAUC: 0.7{i} - AUC: 0.81{i} - logloss: 0.43{tail}"
)


def test_fuxictrs_result_lines(tmp_path):
    lines = [LINE.format(seed=f"seed={i},", model="AFN+", exp="AFN", i=i, tail=",,,") for i in (1, 2)]
    lines += ["", ",,,,", LINE.format(seed="", model="DCN", exp="DCN", i=3, tail="")]
    _, found = read(write(tmp_path / "results.csv", *lines))
    assert [(r.data_set, r.model, r.seed) for r in found.runs] == [
        ("criteo_x1", "AFN+", "1"), ("criteo_x1", "AFN+", "2"), ("criteo_x1", "DCN", "")
    ]  # fmt: skip
    assert found.runs[0].val == {"auc": 0.81, "logloss": 0.44} and found.runs[0].test["gauc"] == 0.71
    broken = write(tmp_path / "broken.csv", lines[0].replace("[dataset_id] criteo_x1_7b681156,", ""))
    with pytest.raises(BadInputError, match=r"broken.csv, line 1: The result line lacks \[dataset_id\]"):
        read_runs(broken)


def test_tensorboards_scalars(tmp_path):
    for seed in (1, 2):
        write(
            tmp_path / f"run-dcn_seed{seed}-tag-val_auc.csv",
            "Wall time,Step,Value", "1.0,1,0.70", f"2.0,2,{float(np.float32(0.75 + seed / 100))!r}", "3.0,3,0.71",
        )  # fmt: skip
        points = [[1.0, 1, "NaN"], [2.0, 2, 0.65 + seed / 100], [3.0, 3, 0.69]]
        (tmp_path / f"run-dcn_seed{seed}-tag-test_auc.json").write_text(json.dumps(points))
    _, found = read(tmp_path)
    assert [(run.model, run.seed, run.test["auc"]) for run in found.runs] == [("dcn", "1", 0.66), ("dcn", "2", 0.67)]
    assert [run.val["auc"] for run in found.runs] == [0.76, 0.77], "of float32, as they were logged"
    write(tmp_path / "scalars.csv", "Wall time,Step,Value", "1,1,1")
    with pytest.raises(BadInputError, match="run-RUN-tag-TAG"):
        read_runs(tmp_path)


def test_a_line_a_figure_and_a_file_a_data_set(tmp_path):
    for name in ("one", "two"):
        write(
            tmp_path / f"{name}.csv",
            "algorithm,fold,metric,split,value",
            *(
                f"{a},{f},{m},{part},{0.5 + f / 10 + i / 100}"
                for i, a in enumerate(("knn", "svm"))
                for f in (0, 1, 2) for m in ("accuracy", "f1") for part in ("valid", "test")
            ),
        )  # fmt: skip
    columns, found = read(tmp_path)
    assert (columns.data_set, columns.metric, columns.part, columns.seed) == ("file", "metric", "split", ["fold"])
    assert len(found.runs) == 12 and set(found.metrics) == {"accuracy", "f1"}
    first = found.runs[0]
    assert (first.data_set, first.model, first.seed) == ("one", "knn", "0") and first.val == first.test
    assert "file a line is from" in " ".join(columns.guesses)


def test_what_varies_with_the_seed_is_no_setting(tmp_path):
    rng = random.Random(0)
    lines = [
        f"{d},{m},{opt},{s},{rng.random():.4f},{rng.random():.6f},{rng.randint(3, 30)}"
        for d in "de" for m in ("a", "b") for opt in ("adam", "sgd") for s in range(3)
    ]  # fmt: skip
    columns, found = read(
        write(tmp_path / "t.csv", "task,model_name,optimizer,seed,test_f1,hidden_state_norm,best_epoch", *lines)
    )
    assert columns.setting == ["optimizer"] and {"best_epoch", "hidden_state_norm"} <= set(columns.unused)
    assert len({(run.data_set, run.model, run.setting) for run in found.runs}) == 8


def test_choices_override_and_wrong_ones_are_refused(tmp_path):
    path = write(tmp_path / "t.csv", "x,y,q", "m,1,0.5", "n,2,0.6")
    with pytest.raises(UsageError, match="No column holds figures"):
        read(path)
    columns, found = read(path, model="x", seed=["y"], test={"quality": "q"})
    assert found.metrics["quality"].direction == 1 and [run.seed for run in found.runs] == ["1", "2"]
    assert columns.unused == []
    with pytest.raises(UsageError, match="no column 'z'"):
        read(path, model="z")
    with pytest.raises(BadInputError, match="holds no file"):
        (tmp_path / "empty").mkdir()
        read_runs(tmp_path / "empty")


def test_tables_are_kept_by_their_figures_alone(tmp_path, home):
    path = write(tmp_path / "t.csv", "model,seed,test_auc", "../../x,1,0.5", "b,1,0.6")
    _, found = read(path)
    about = kept.keep(found, "../../etc/<b>")
    assert [file.name for file in (home / "published").iterdir()] == [f"{about.id}.json"]
    again, runs = kept.load(about.id)
    assert again.name == "../../etc/<b>" and runs.runs == found.runs and runs.metrics == found.metrics
    for wrong in ("../x", "0" * 12, ""):
        with pytest.raises(UsageError, match="no imported table"):
            kept.load(wrong)
    kept.remove(about.id)
    assert kept.kept() == []


def test_columns_that_are_seeds_become_lines(tmp_path):
    path = write(tmp_path / "t.csv", "model,test_auc_seed1,test_auc_seed2,mean", "a,0.7,0.8,0.75", "b,0.6,,0.6")
    columns, found = read(path)
    assert (columns.seed, columns.test) == (["seed"], {"auc": "test_auc"})
    assert [(r.model, r.seed, r.test["auc"]) for r in found.runs] == [("a", "1", 0.7), ("a", "2", 0.8), ("b", "1", 0.6)]
    _, found = read(write(tmp_path / "u.csv", "method,Run 1,Run 2", "a,71.5,72.5", "b,61,62"))
    assert [(r.model, r.seed) for r in found.runs] == [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")]
