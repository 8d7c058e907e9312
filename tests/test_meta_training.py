import json
import threading
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch

import oddshot.meta_training
from oddshot.data.tasks import EpisodeSettings
from oddshot.episodes import Episode, MappedTask, SupportSummary, Table
from oddshot.errors import DataError, LabelError, SettingError, TrainingError
from oddshot.learners import restore
from oddshot.mapping.mapping import COORDINATES
from oddshot.meta_training import meta_train, table_sources
from oddshot.priors import Prior
from oddshot.training import train

QUICK = {
    "settings": {"hidden": [4], "inner_steps": 1},
    "episodes": 10,
    "steps": 3,
    "batch_size": 2,
    "episode_settings": EpisodeSettings(min_rows=30, max_rows=60),
}


def table(number: int, *, family: str = "", collection: str = "toys") -> Table:
    rng = np.random.default_rng(number)
    labels = (np.arange(90) < 15).astype(np.int8)
    rows = rng.normal(size=(90, 3)) + 3 * labels[:, None]
    return Table(f"table{number}", rows, labels, family, collection)


@pytest.fixture
def tables() -> list[Table]:
    return [table(n, collection="toys" if n < 4 else "others") for n in range(6)]


@pytest.fixture
def episodes(monkeypatch) -> list[Episode]:
    """Put plain z-scores in the mapping's place, and keep the episodes that it is given."""
    seen = []

    def map_episode(episode: Episode) -> MappedTask:
        seen.append(episode)
        support, query = np.asarray(episode.support.rows), np.asarray(episode.query.rows)
        centre, spread = support.mean(0), support.std(0)

        def z(rows: np.ndarray) -> np.ndarray:
            return np.repeat(((rows - centre) / spread)[:, :, None], 2, 2).astype(np.float32)

        return MappedTask(
            episode.name,
            episode.family,
            episode.seed,
            z(support),
            episode.support.labels,
            z(query),
            episode.query.labels,
            SupportSummary(np.zeros((3, 1), np.float32), np.zeros(1, np.float32)),
        )

    monkeypatch.setattr(oddshot.meta_training, "map_episode", map_episode)
    return seen


def test_from_tables_to_a_prior(tmp_path, tables, episodes):
    told = []
    prior = meta_train(tables, out=tmp_path, progress=lambda *what: told.append(what), **QUICK)
    assert Prior.load(tmp_path) == prior
    assert len(episodes) == 10
    assert prior.seen_families == {f"table{n}" for n in range(6)}
    assert prior.provenance["collections"] == ["others", "toys"]
    assert prior.provenance["episodes"] == 10
    assert prior.provenance["episode_settings"] == asdict(QUICK["episode_settings"])
    assert prior.provenance["coordinates"] == list(COORDINATES)
    assert len(prior.provenance["validation_families"]) == 1
    assert prior.provenance["validation_auroc"] > 0
    assert told[0] == ("read", 0, 6, {})
    counts = {"tables": 6, "families": 6, "validation_families": 1}
    assert told[6:8] == [("read", 6, 6, {}), ("read", 6, 6, counts)]
    assert ("map", 0, 10, {}) in told
    assert ("map", 10, 10, {}) in told
    assert told[-1][:3] == ("train", 3, 3)
    json.dumps(dict(prior.provenance))


def test_with_and_without_a_folder_alike_and_nothing_is_mapped_twice(tmp_path, tables, episodes):
    prior = meta_train(tables, **QUICK)
    assert meta_train(tables, out=tmp_path, **QUICK) == prior
    assert len(episodes) == 20
    assert meta_train(tables, out=tmp_path, resume=False, **QUICK) == prior
    assert len(episodes) == 20
    assert meta_train(tables, **QUICK, seed=1) != prior


@pytest.fixture
def parts(monkeypatch):
    """Families that `train` was given to train on, and to validate on."""
    given = {}

    def spy(tasks, **options):
        given["trained"] = {task.family for task in tasks}
        given["validated"] = {task.family for task in options["validation"]}
        return train(tasks, **options)

    monkeypatch.setattr(oddshot.meta_training, "train", spy)
    return given


def test_validation_families_are_not_trained_on(tables, episodes, parts):
    prior = meta_train(tables, **{**QUICK, "validation_fraction": 0.5, "episodes": 20})
    held = set(prior.provenance["validation_families"])
    assert len(held) == 3
    assert parts["validated"] == held
    assert parts["trained"] == {t.family for t in tables} - held


def test_one_family_or_no_fraction_means_no_validation(episodes):
    alike = [table(n, family="one") for n in range(2)]
    assert meta_train(alike, **QUICK).provenance["validation_families"] == []
    prior = meta_train([table(0), table(1)], **QUICK, validation_fraction=0.0)
    assert prior.provenance["validation_auroc"] is None


@pytest.mark.parametrize(("name", "left"), [("others", 4), ("table2", 5)])
def test_holdout_leaves_collections_and_families_out(tables, episodes, parts, name, left):
    prior = meta_train(tables, holdout=[name], **QUICK)
    assert len(prior.seen_families) == left
    assert prior.provenance["holdout"] == [name]
    held = {t.family for t in tables if name in (t.family, t.collection)}
    assert held.isdisjoint(parts["trained"] | parts["validated"])


def test_a_table_is_held_out_with_its_family(tables, episodes):
    twins = [table(n, family="columns-0a") for n in (7, 8)]
    prior = meta_train([*tables, *twins], holdout=["table7"], **QUICK)
    assert prior.seen_families == {t.family for t in tables}
    assert prior.provenance["holdout"] == ["table7"]


def test_folds_hold_every_family_out_once(tables, episodes, parts):
    left_out = []
    for part in range(2):
        prior = meta_train(tables, holdout_fold=(part, 2), **QUICK)
        out = {t.family for t in tables} - prior.seen_families
        assert out.isdisjoint(parts["trained"] | parts["validated"])
        left_out += sorted(out)
    assert sorted(left_out) == sorted({t.family for t in tables})
    with pytest.raises(SettingError, match=r"holdout_fold is \(2, 2\)"):
        meta_train(tables, holdout_fold=(2, 2), **QUICK)


def test_runs_share_an_episode_store(tmp_path, tables, episodes):
    store = tmp_path / "store"
    meta_train(tables, out=tmp_path / "a", episode_store=store, **QUICK)
    meta_train(tables, out=tmp_path / "b", episode_store=store, holdout=["others"], **QUICK)
    assert len(episodes) == QUICK["episodes"]


def test_an_unknown_learner_is_refused_before_anything_is_mapped(tables, episodes):
    with pytest.raises(SettingError, match="no learner is called 'mamal'; choose one of gated"):
        meta_train(tables, "mamal", **QUICK)
    assert not episodes


def test_holdout_that_cannot_be(tables):
    twins = [table(n, family="columns-0a") for n in (7, 8)]
    told = r"no collection, family or table .*; there are 2 collections: others, toys; 7 families: "
    with pytest.raises(SettingError, match=told + r"columns-0a \(table7, table8\), table0, "):
        meta_train([*tables, *twins], holdout=["adbench"], **QUICK)
    with pytest.raises(SettingError, match=r"holdout names 'tabel3', .*; near it: table3, "):
        meta_train(tables, holdout=["tabel3"], **QUICK)
    with pytest.raises(SettingError, match=r"holdout is 'table0'; it must be a list of collect"):
        meta_train(tables, holdout="table0", **QUICK)
    with pytest.raises(TrainingError, match="no table is left to train on"):
        meta_train(tables, holdout=["toys", "others"], **QUICK)


@pytest.mark.parametrize("fold", [(0.5, 2), [0], "0/2", (0, 1, 2), (0, 0)])
def test_a_fold_that_cannot_be(tables, fold):
    with pytest.raises(
        SettingError, match=r"holdout_fold is .*; it must be \(i, n\) with i from 0"
    ):
        meta_train(tables, holdout_fold=fold, **QUICK)


@pytest.mark.parametrize("labels", [None, 5, "01"])
def test_a_task_without_labels_is_named(labels):
    with pytest.raises(LabelError, match=r"labels 'y of task 0' are .*; give one label a row"):
        meta_train([(np.zeros((2, 2)), labels)], **QUICK)


def test_episodes_of_other_tables_are_refused(tmp_path, tables, episodes):
    meta_train(tables, out=tmp_path, **QUICK)
    changed = [replace(t, rows=np.asarray(t.rows) + 1) for t in tables]
    with pytest.raises(TrainingError, match=r"made with other tables; choose another folder"):
        meta_train(changed, out=tmp_path, **QUICK)


def test_pairs_and_frames_are_tables_too(episodes):
    pairs = []
    for number in range(3):
        given = table(number)
        y = [{1: "anomaly", 0: "normal"}[int(label)] for label in given.labels]
        pairs.append((np.asarray(given.rows).tolist(), y))
    prior = meta_train((pair for pair in pairs), **QUICK)
    assert prior.seen_families == {"task 0", "task 1", "task 2"}
    (source,) = table_sources([(pd.DataFrame({"a": ["x", "y"]}), [1, None])])
    assert source.load().labels.tolist() == [1, -1]


def test_a_folder_of_tables(tmp_path, episodes):
    for number in range(3):
        given = table(number)
        frame = pd.DataFrame(given.rows, columns=["a", "b", "c"]).assign(label=given.labels)
        frame.to_csv(tmp_path / f"table{number}.csv", index=False)
    assert len(meta_train(tmp_path, **QUICK).seen_families) >= 1


def test_what_is_no_table_says_so(tables):
    with pytest.raises(DataError, match="task 1 is a str; give a Table or a pair"):
        meta_train([tables[0], "table"], **QUICK)
    for given, kind in (
        (5, "int"),
        (None, "NoneType"),
        (pd.DataFrame(tables[0].rows), "DataFrame"),
    ):
        with pytest.raises(DataError, match=f"tasks are a {kind}; give a folder of tables"):
            meta_train(given, **QUICK)
    with pytest.raises(DataError, match="there is no table to learn from"):
        meta_train([], **QUICK)
    with pytest.raises(LabelError, match="task 0"):
        meta_train([(np.zeros((2, 2)), ["a", "b"])], **QUICK)
    one_class = replace(tables[1], labels=np.zeros(90, np.int8))
    for lacking, labels in ((one_class, "1"), (replace(tables[1], labels=None), "1 or 0")):
        with pytest.raises(DataError, match=f"1 of 2 .*'table1': no row is labelled {labels}$"):
            meta_train([tables[0], lacking], **QUICK)
    with pytest.raises(DataError, match=r"5 of 6 tables cannot be learned from.*; and 2 more"):
        meta_train([tables[0], *[one_class] * 5], **QUICK)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("episodes", 1),
        ("episodes", 4.5),
        ("validation_fraction", 1.0),
        ("seed", -1),
        ("seed", None),
        ("steps", "2"),
        ("steps", 1.5),
        ("batch_size", 1.5),
        ("jobs", 0),
        ("learning_rate", np.nan),
        ("patience", 0),
    ],
)
def test_settings_name_what_they_cannot_be(tables, name, value):
    with pytest.raises(SettingError, match=f"{name} is"):
        meta_train(tables, **{**QUICK, name: value})


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"settings": {"clip_norm": "abc"}}, "maml setting clip_norm is 'abc'; it must be a fini"),
        ({"settings": {"outer_loss": "foo"}}, "maml setting outer_loss is 'foo'"),
        ({"learner": "aae", "settings": {"hidden": 33}}, "aae setting hidden is 33"),
        ({"learner": "gated", "settings": {"anchor": [99]}}, "gated setting anchor is"),
        (
            {"learner": "prototypical", "settings": {"encoder": "conv4"}},
            "prototypical setting encoder is 'conv4'",
        ),
        ({"checkpoint_every": 0}, "checkpoint_every is 0"),
        ({"batch_size": 2, "devices": 4}, "batch_size is 2; it must be 4 or more"),
        ({"tensorboard": True}, "tensorboard is True; it must be False without out"),
        (
            {"patience": 2, "validation_fraction": 0},
            "patience is 2; it must be None with validation_fraction=0",
        ),
        ({"out": ""}, "out is ''; it must be a folder"),
        ({"episode_store": ""}, "episode_store is ''; it must be a folder"),
    ],
)
def test_what_cannot_be_is_named_before_tables_are_read(tables, given, named):
    told = []
    if "devices" in given:
        pytest.importorskip("lightning_fabric", reason="the train extra is not installed")
    with pytest.raises(SettingError, match=named):
        meta_train(tables, **{**QUICK, **given}, progress=lambda *stage: told.append(stage))
    assert not told


def test_patience_without_a_family_to_validate_is_named_before_anything_is_mapped(episodes):
    alike = [table(n, family="one") for n in range(2)]
    with pytest.raises(SettingError, match=r"patience is 2; .* all tables left are of one .*'one'"):
        meta_train(alike, **QUICK, patience=2)
    assert not episodes


def test_a_folder_that_another_run_writes_is_refused_before_anything_is_mapped(
    tmp_path, tables, episodes
):
    refused = []

    def again() -> None:
        with pytest.raises(SettingError, match="is being written by another process") as caught:
            meta_train(tables, out=tmp_path, **QUICK)
        refused.append(caught)

    def told(stage, done, *_) -> None:
        if stage == "map" and done == 0:
            other = threading.Thread(target=again)
            other.start()
            other.join()
            assert not episodes

    meta_train(tables, out=tmp_path, **QUICK, progress=told)
    assert len(refused) == 1


def test_a_file_in_the_place_of_the_episodes_is_named(tmp_path, tables, episodes):
    (tmp_path / "episodes").write_text("")
    with pytest.raises(SettingError, match=r"episode_store is '.*episodes'; it must be a folder"):
        meta_train(tables, **QUICK, out=tmp_path)
    assert not episodes


@pytest.mark.parametrize("name", ["out", "episode_store"])
def test_a_folder_that_cannot_be_written_is_named_before_tables_are_read(tmp_path, tables, name):
    (tmp_path / "file").write_text("")
    places = {"out": tmp_path / "out", "episode_store": tmp_path / "store", name: tmp_path / "file"}
    told = []
    with pytest.raises(SettingError, match=rf"{name} is '.*file'; it must be a folder"):
        meta_train(tables, **QUICK, **places, progress=lambda *stage: told.append(stage))
    assert not told


def test_the_real_mapping_in_two_processes(tables):
    small = {**QUICK, "episodes": 2, "steps": 1}
    prior = meta_train(tables[:2], jobs=2, **small)
    assert restore(prior)[0].shape.coordinates == len(COORDINATES)
    assert prior == meta_train(tables[:2], jobs=1, **small)


def test_settings_may_be_numbers_of_numpy_and_torch_may_be_set_otherwise(tmp_path):
    generator = np.random.default_rng(0)
    tables = []
    for _ in range(3):
        labels = np.repeat([1, 0], [12, 100])
        tables.append((generator.normal(size=(112, 3)) + 4 * labels[:, None], labels))
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            prior = meta_train(
                tables,
                "maml",
                seed=np.int64(1),
                episodes=np.int64(4),
                steps=np.int64(2),
                learning_rate=np.float32(0.001),
                settings={"inner_steps": np.int64(2)},
                out=tmp_path / "made",
            )
    finally:
        torch.set_default_dtype(torch.float32)
    assert {array.dtype for array in prior.tensors.values()} == {np.dtype(np.float32)}
    assert Prior.load(tmp_path / "made") == prior


def test_what_shares_rows_with_held_out_tables_is_left_out(tables, episodes):
    rows = np.random.default_rng(0).normal(size=(90, 5))
    first = replace(tables[0], rows=rows)
    copy = replace(first, name="copy", family="copy", rows=rows[:, ::-1])
    tables = [first, *tables[1:]]
    prior = meta_train([*tables, copy], holdout=[first.family], **QUICK)
    assert not prior.seen_families & {first.family, "copy"}
    assert prior.provenance["kin_of_holdout"] == ["copy"]
    with pytest.raises(TrainingError, match="or sharing rows with such"):
        meta_train([first, copy], holdout=[first.family], **QUICK)
