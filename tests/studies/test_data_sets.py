import pytest

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import list_datasets
from mdaf_core.runs import tracking
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies.data_sets import delete_dataset, references
from mdaf_core.training import fit

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def data():
    return prepare("synthetic", name="data", options={"size": "tiny"})


def test_deleting_what_nobody_refers_to(data):
    assert not references("data")
    assert delete_dataset("data") > 1_000_000
    assert not list_datasets() and not list(data.path.parent.iterdir())
    with pytest.raises(UsageError, match="no prepared data set"):
        delete_dataset("data")


def test_deleting_what_runs_refer_to_says_so(data):
    run_id = tracking.start_run(get_preset("lr"), 1, "data", fit.fingerprint(data), "study", {})
    tracking.close_run(run_id, "cancelled", "")
    assert references("data").runs == 1
    with pytest.raises(UsageError, match=r"1 run refer.*--force"):
        delete_dataset("data")
    assert list_datasets() == ["data"]
    delete_dataset("data", force=True)
    assert not list_datasets()


def test_altered_files_are_noticed_before_training(data):
    fit.check_data(data)
    path = data.path / "rows" / "val.arrow"
    content = bytearray(path.read_bytes())
    content[-2000] ^= 1
    path.write_bytes(content)
    with pytest.raises(StudioError, match=r"val.arrow changed"):
        fit.check_data(data)
    path.unlink()
    with pytest.raises(StudioError, match=r"val.arrow"):
        fit.train(get_preset("lr"), data, 1)
    assert not tracking.list_runs()


def test_data_replaced_between_runs_of_a_study_is_noticed(data):
    run_id = tracking.start_run(get_preset("lr"), 1, "data", "another", "study", {})
    fit.check_data(data, "study")  # that run has not ended
    with pytest.raises(StudioError, match="prepared anew, differently"):
        fit.check_data(data, "study", run_id)
