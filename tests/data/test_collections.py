import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from oddshot import Prior
from oddshot.data.collections import family_of, load_collection
from oddshot.errors import DataError, LabelError, SourceError
from oddshot.mapping.encoding.encoder import Encoder

DATA = Path(os.environ.get("ODDSHOT_DATA", Path(__file__).parents[3] / "shared/data"))
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no development data in {DATA}; set ODDSHOT_DATA"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for sub in ("lab/deep", "plant", ".hidden"):
        (tmp_path / sub).mkdir(parents=True)
    (tmp_path / "README.md").write_text("no table")
    (tmp_path / ".hidden" / "h.csv").write_text("a,b\n1,2\n")
    (tmp_path / "top.csv").write_text("kg,Label\n1.5,0\n9.0,1\n")
    np.savez(tmp_path / "lab" / "satellite.npz", X=np.ones((4, 3)), y=[0, 0, 1, 0])
    for name, columns in (("one", ["kg", "cm"]), ("deep/two", ["cm", "kg"])):
        np.savez(
            tmp_path / "lab" / f"{name}.npz",
            train=np.ones((3, 2), np.float32),
            test=np.zeros((2, 2), np.float32),
            test_labels=np.array([0, 1]),
            feature_names=np.array(columns),
        )
    pd.DataFrame({"kg": [1.0, 2.0], "other": [0, 1]}).to_parquet(tmp_path / "plant" / "p.parquet")
    (tmp_path / "plant" / "same.csv").write_text("1,2\n3,4\n")
    (tmp_path / "plant" / "same.jsonl").write_text('{"a": 1, "class": "normal"}\n')
    return tmp_path


def test_tables_are_listed_with_names_collections_and_sizes(folder: Path) -> None:
    refs = load_collection(folder)
    assert [(ref.collection, ref.name, ref.rows, ref.columns) for ref in refs] == [
        ("lab", "deep/two", 5, 2),
        ("lab", "one", 5, 2),
        ("lab", "satellite", 4, 3),
        ("plant", "p", 2, 2),
        ("plant", "same.csv", None, None),
        ("plant", "same.jsonl", None, None),
        (folder.name, "top", None, 2),
    ]


def test_families_follow_origin_then_column_names_then_the_table(folder: Path) -> None:
    families = {ref.name: ref.family for ref in load_collection(folder)}
    assert families["one"] == families["deep/two"]
    assert families["one"].startswith("columns-")
    assert len(families["one"]) == len("columns-") + 12
    assert families["p"] != families["one"]
    assert families["satellite"] == family_of(Path("landsat.npz"))
    assert families["same.csv"] == "same"


@pytest.mark.parametrize(
    ("together", "apart"),
    [
        (["landsat.npz", "satellite.npz", "satimage-2.npz"], "shuttle.npz"),
        (["cardio.npz", "Cardiotocography.npz"], "cardiology.npz"),
        (["http.npz", "smtp.npz", "nsl_kdd/train.csv.gz"], "https.npz"),
        (["optdigits.npz", "pendigits.npz", "mnist.npz", "letter.npz"], "letters.npz"),
        (["MVTec-AD_pill.npz", "vit/MVTec-AD_wood.npz"], "mvtec.npz"),
        (["CIFAR10_0.npz", "SVHN_8.npz"], "20news_3.npz"),
        (["6_cardio.npz", "7_Cardiotocography.npz"], "67_cardiology.npz"),
        (["PageBlocks.npz", "27_PageBlocks.npz", "pageblocks.csv"], "blocks.npz"),
    ],
)
def test_tables_of_one_origin(together: list[str], apart: str) -> None:
    assert len({family_of(Path("x") / name) for name in together}) == 1
    assert family_of(Path("x") / apart) not in {family_of(Path("x") / name) for name in together}


def test_a_number_in_front_is_no_part_of_a_family_and_a_name_of_digits_is_one() -> None:
    named = ["4_breastw.npz", "20news_3.npz", "2024_05.npz", "7_.npz", "3a.npz"]
    assert [family_of(Path(name)) for name in named] == [
        "breastw",
        "20news_3",
        "2024_05",
        "7_",
        "3a",
    ]


def test_tables_the_shipped_prior_has_learned_from_are_told_with_names_of_columns(
    tmp_path: Path,
) -> None:
    (tmp_path / "32_shuttle.csv").write_text("a,b,label\n1,2,0\n3,4,1\n")
    (ref,) = load_collection(tmp_path)
    assert ref.family in Prior.find("default").seen_families


@pytest.mark.parametrize("labels", ["label", " Outlier "])
def test_the_same_columns_are_one_family_whatever_the_format(tmp_path: Path, labels: str) -> None:
    rows = pd.DataFrame({"kg": [1.5, 2.5, 9.0], "cm ": [3.0, 4.0, 5.0]})
    labelled = rows.assign(**{labels: [0, 0, 1]})
    labelled.to_csv(tmp_path / "a.csv", index=False)
    labelled.iloc[[0, 2, 1]].to_parquet(tmp_path / "b.parquet")
    np.savez(tmp_path / "c.npz", X=rows, y=labelled[labels], feature_names=["kg", "cm "])
    rows.to_csv(tmp_path / "d.tsv", index=False, sep="\t")
    refs = load_collection(tmp_path)
    assert [ref.columns for ref in refs] == [3, 3, 2, 2]
    assert len({ref.family for ref in refs}) == 1


def test_a_feature_of_an_array_may_be_called_as_labels_are(tmp_path: Path) -> None:
    names = np.array(["kg", "class"])
    np.savez(tmp_path / "a.npz", X=np.ones((2, 2)), y=[0, 1], feature_names=names)
    (ref,) = load_collection(tmp_path)
    assert ref.family == family_of(Path("a.npz"), names)


@needs_data
def test_exported_tables_are_told_as_those_the_prior_has_learned_from(tmp_path: Path) -> None:
    seen = Prior.find("default").seen_families
    for ref in load_collection(DATA / "oddbench")[::40]:
        table = ref.load()
        assert isinstance(table.rows, pd.DataFrame)
        labelled = table.rows.assign(label=table.labels)
        labelled.to_csv(tmp_path / f"{ref.name}.csv", index=False)
        labelled.to_parquet(tmp_path / f"{ref.name}.parquet")
    exported = load_collection(tmp_path)
    assert len(exported) == 22
    assert {ref.family for ref in exported} <= seen


def test_loading_finds_labels_and_keeps_family_and_collection(folder: Path) -> None:
    refs = {ref.name: ref for ref in load_collection(folder)}
    table = refs["top"].load()
    assert table.labels is not None
    assert table.labels.tolist() == [0, 1]
    assert (table.name, table.family, table.collection) == (
        "top",
        refs["top"].family,
        folder.name,
    )
    assert isinstance(table.rows, pd.DataFrame)
    assert list(table.rows.columns) == ["kg"]
    assert refs["same.jsonl"].load().labels is not None
    other = refs["p"].load(label_column="other")
    assert other.labels is not None
    assert other.labels.tolist() == [0, 1]
    with pytest.raises(
        LabelError, match=r"no label column: none is called label, .*rename the column"
    ):
        refs["p"].load()


def test_columns_of_labels_and_groups_may_be_named(tmp_path: Path) -> None:
    rows = pd.DataFrame({"patient": ["b", "a", "b"], "kg": [1.0, 2.0, 9.0], "ill": [0, 0, 1]})
    rows.to_csv(tmp_path / "visits.csv", index=False)
    rows.drop(columns="ill").assign(label=0).to_parquet(tmp_path / "same.parquet")
    refs = load_collection(tmp_path, label_column="ill", group_column="patient")
    table = next(ref for ref in refs if ref.name == "visits").load()
    assert table.labels is not None
    assert table.groups is not None
    assert isinstance(table.rows, pd.DataFrame)
    assert (table.labels.tolist(), table.groups.tolist()) == ([0, 0, 1], [0, 1, 0])
    assert list(table.rows) == ["kg"]
    plain = load_collection(tmp_path)
    assert refs[1].family == plain[0].family  # without its labels
    with pytest.raises(SourceError, match="no column 'ill'"):
        refs[0].load()
    rows.assign(patient=["b", None, "b"]).to_csv(tmp_path / "visits.csv", index=False)
    with pytest.raises(DataError, match=r"column 'patient' of .* is empty in row 1; give each row"):
        refs[1].load()
    with pytest.raises(SourceError, match="split by the columns that were named"):
        refs[1].load_split()


def test_matrices_without_labels_are_explained(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", X=np.ones((3, 2)))
    with pytest.raises(LabelError, match="add an array y"):
        load_collection(tmp_path)[0].load()


def test_the_split_of_a_file_comes_back(folder: Path) -> None:
    refs = {ref.name: ref for ref in load_collection(folder)}
    train, test = refs["one"].load_split()
    assert train.rows.shape == (3, 2)
    assert train.labels is not None
    assert train.labels.tolist() == [0, 0, 0]
    assert test.labels is not None
    assert test.labels.tolist() == [0, 1]
    assert isinstance(test.rows, pd.DataFrame)
    assert list(test.rows.index) == [0, 1]
    assert train.family == test.family == refs["one"].family
    with pytest.raises(SourceError, match="brings no split"):
        refs["satellite"].load_split()


def test_what_benchmarks_and_training_wrote_is_no_table(folder: Path) -> None:
    names = [ref.name for ref in load_collection(folder)]
    (folder / "runs").mkdir()
    (folder / "runs" / "results.csv").write_text("auroc,label\n.5,1\n.6,0\n")
    assert [ref.name for ref in load_collection(folder)] != names  # a table like any other
    (folder / "runs" / "settings.json").write_text("{}")
    assert [ref.name for ref in load_collection(folder)] == names


def test_a_damaged_file_is_listed_and_explained_when_loaded(tmp_path: Path) -> None:
    (tmp_path / "t.npz").write_bytes(b"PK\x03\x04 garbage")
    (tmp_path / "u.parquet").write_bytes(b"PAR1 garbage")
    (tmp_path / "v.csv.gz").write_bytes(b"\x1f\x8b garbage")
    for ref in load_collection(tmp_path):
        assert (ref.rows, ref.columns) == (None, None)
        with pytest.raises(SourceError, match="damaged"):
            ref.load()


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no table"):
        load_collection(tmp_path)
    with pytest.raises(SourceError, match="does not exist"):
        load_collection(tmp_path / "none")
    (tmp_path / "f").write_text("")
    with pytest.raises(SourceError, match="is a file"):
        load_collection(tmp_path / "f")


@needs_data
def test_all_development_tables_are_listed() -> None:
    refs = load_collection(DATA)
    counts = pd.Series([ref.collection for ref in refs]).value_counts()
    assert counts[["oddbench", "ovrbench"]].tolist() == [426, 228]
    assert len({(ref.collection, ref.name) for ref in refs}) == len(refs)


@needs_data
@pytest.mark.parametrize("collection", ["adbench/classical", "oddbench", "ovrbench"])
def test_development_tables_load_and_encode(collection: str) -> None:
    for ref in load_collection(DATA / collection)[::15]:
        table = ref.load()
        assert table.rows.shape == (ref.rows, ref.columns)
        assert table.labels is not None
        assert set(table.labels) == {0, 1}
        assert np.isfinite(Encoder().fit(table.rows).transform(table.rows)).all()
