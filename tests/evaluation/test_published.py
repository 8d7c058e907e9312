import gzip

import numpy as np
import pandas as pd
import pytest

from oddshot.errors import SettingError
from oddshot.evaluation.published import FILES, published_beside
from oddshot.evaluation.summary import summarise
from oddshot.reports.tables import published_title

ADBENCH = """table,metric,la_pct,dataset,algorithm,value,rank
D4,AUCROC,unsup,ALOI,PCA,50,1
D6,AUCROC,1,ALOI,CatB,60,1
D6,AUCROC,1,wine,CatB,80,1
D6,AUCROC,1,vowels,CatB,10,1
D6,AUCROC,1,ALOI,Half,99,1
D7,AUCPR,1,ALOI,CatB,30,1
D7,AUCPR,1,wine,CatB,40,1
"""
DTE = """setting,metric,dataset,algorithm,mean,std
semi(normal-only),AUCROC,aloi,kNN,70,0
semi(normal-only),AUCPR,aloi,kNN,35,0
semi(normal-only),AUCROC,wine,kNN,99,0.2
semi(normal-only),AUCPR,wine,kNN,99,0.2
unsup(bootstrap-transductive),AUCROC,aloi,kNN,1,0
"""
ODDBENCH = "algorithm,avg_aucroc,avg_aucpr\nKNN,76,42\n"


@pytest.fixture
def anchors(tmp_path):
    for protocol, text in (("adbench", ADBENCH), ("dte", DTE)):
        (tmp_path / FILES[protocol]).write_bytes(gzip.compress(text.encode()))
    (tmp_path / FILES["one-class"]).write_text(ODDBENCH)
    return tmp_path


def measured(protocol, k=0, tables=("ALOI", "wine", "mine"), collection="classical"):
    rows = [
        (protocol, table, "", collection, k, 1, name, False, score, 0.5, 0.4, 0.1, 0.1, *[""] * 3)
        for table, score in zip(tables, (0.9, 0.7, 0.1), strict=False)
        for name in ("oddshot", "knn")
    ]
    columns = [
        "protocol", "table", "family", "collection", "k", "seed", "detector", "seen",
        "auroc", "ap", "ap_norm", "fit_seconds", "score_seconds", "error", "shown", "machine",
    ]  # fmt: skip
    (comparison,) = summarise(pd.DataFrame(rows, columns=columns)).comparisons
    return comparison


def test_both_means_are_over_the_data_sets_that_both_have(anchors):
    found = published_beside(measured("adbench", k=1), anchors)
    assert found.tables == ("ALOI", "wine")
    assert found.scores.loc[("published", "CatB")].to_list() == pytest.approx([0.7, 0.35])
    assert found.scores.loc[("measured", "oddshot"), "auroc"] == pytest.approx(0.8)
    assert "Half" not in found.scores.index.get_level_values("detector")


def test_a_number_in_front_is_no_part_of_a_data_sets_name(anchors):
    found = published_beside(measured("adbench", k=1, tables=("1_ALOI", "45_wine")), anchors)
    assert found.tables == ("1_ALOI", "45_wine")
    assert found.scores.loc[("published", "CatB")].to_list() == pytest.approx([0.7, 0.35])
    copied = published_beside(measured("dte", tables=("1_ALOI", "45_wine")), anchors)
    assert (copied.tables, copied.left_out) == (("1_ALOI",), ("45_wine",))


def test_only_the_setting_of_normal_rows_counts_for_dte(anchors):
    found = published_beside(measured("dte"), anchors)
    assert found.tables == ("ALOI",)
    assert found.scores.loc[("published", "kNN")].to_list() == pytest.approx([0.7, 0.35])


def test_data_sets_that_were_filled_up_with_copies_are_left_out_and_named(anchors):
    found = published_beside(measured("dte"), anchors)
    assert found.left_out == ("wine",)
    assert "without wine: the published runs trained on copies" in published_title(found)
    assert published_beside(measured("dte", tables=("wine",)), anchors) is None
    assert published_beside(measured("adbench", k=1), anchors).left_out == ()


def test_means_over_other_tables_are_said_to_be_that(anchors):
    found = published_beside(measured("one-class", collection="oddbench"), anchors)
    assert not found.same
    assert found.scores.loc[("published", "KNN"), "auroc"] == pytest.approx(0.76)


@pytest.mark.parametrize(
    "comparison",
    [
        measured("few-label", k=1),
        measured("adbench", k=7),
        measured("adbench irrelevant=0.3", k=1),
        measured("dte", tables=("mine",)),
        measured("one-class"),
    ],
    ids=["protocol", "labels", "disturbed", "tables", "collection"],
)
def test_nothing_stands_beside_what_nobody_published(anchors, comparison):
    assert published_beside(comparison, anchors) is None


def test_a_folder_without_the_file_is_named(tmp_path):
    with pytest.raises(SettingError, match=r"holds no adbench_paper"):
        published_beside(measured("adbench", k=1), tmp_path)


def test_unused_labels_leave_gaps_out(anchors):
    found = published_beside(measured("adbench", k=1, tables=("ALOI",)), anchors)
    assert found.scores.loc[("published", "Half")].isna().to_list() == [False, True]
    assert np.isfinite(found.scores.loc["measured"]).all().all()
