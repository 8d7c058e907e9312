from pathlib import PurePosixPath

import pandas as pd
import pytest

from oddshot.data.image_labels import folder_labels, table_labels
from oddshot.errors import LabelError, SourceError

NAMES = ("good/0.png", "good/1.png", "scratch/0.png", "scratch/2.png")
PATHS = tuple(PurePosixPath("/data/nuts") / name for name in NAMES)


def labels_of(*names):
    labels, kinds = folder_labels([PurePosixPath(name) for name in names])
    return labels.tolist(), list(kinds)


def test_with_a_good_folder_all_others_are_anomalies():
    assert labels_of("good/a.png", "cut/b.png", "hole/c.png", "top.png") == (
        [0, 1, 1, -1],
        ["good", "cut", "hole", ""],
    )


def test_mvtec_layout():
    assert labels_of("train/good/0.png", "test/good/0.png", "test/broken_large/0.png") == (
        [0, 0, 1],
        ["good", "good", "broken_large"],
    )
    assert labels_of("test/broken/0.png") == ([-1], ["broken"])


def test_known_words_label_without_a_good_folder():
    assert labels_of("Defect/a.png", "NOK/b.png", "unlabelled/c.png", "other/d.png") == (
        [1, 1, -1, -1],
        ["Defect", "NOK", "unlabelled", "other"],
    )


def test_words_of_tables_are_words_of_folders_but_for_answers():
    assert labels_of("healthy/a.png", "fraud/b.png", "rust/c.png")[0] == [0, 1, 1]
    assert labels_of("y/a.png", "n/b.png", "yes/c.png", "none/d.png", "-1/e.png")[0] == [-1] * 5


def test_the_innermost_known_folder_counts():
    assert labels_of("good/line1/a.png", "defect/scratch/b.png", "good/defect/c.png") == (
        [0, 1, 1],
        ["line1", "scratch", "defect"],
    )


def test_classes_and_splits_alone_tell_no_label():
    assert labels_of("cat/a.png", "dog/b.png", "train/c.png", "d.png") == (
        [-1] * 4,
        ["cat", "dog", "", ""],
    )


def table(files, labels, **more):
    return pd.DataFrame({"file": files, "label": labels, **more})


def read(frame, column=None):
    return table_labels(frame, NAMES, PATHS, column).tolist()


def test_a_table_labels_the_images_it_names():
    assert read(table(["scratch/2.png", "good/0.png"], [1, 0])) == [0, -1, -1, 1]


@pytest.mark.parametrize(
    "name",
    ["scratch/2.png", "2.png", "./scratch/2.png", "nuts/scratch/2.png", "scratch\\2.png",
     "/data/nuts/scratch/2.png", " 2.png "],
)  # fmt: skip
def test_an_image_is_named_by_any_end_of_its_path(name):
    assert read(table([name], ["defect"])) == [-1, -1, -1, 1]


def test_words_of_folders_are_labels_and_gaps_are_unlabelled():
    frame = table(["good/0.png", "1.png", "2.png", "scratch/0.png"], ["OK", None, "Bad", "fraud"])
    assert read(frame) == [0, -1, 1, 1]


def test_the_column_of_labels_is_found_or_said():
    files = ["1.png", "2.png"]
    by_content = pd.DataFrame({"note": ["x", "z"], "odd": ["no", "yes"], "path": files})
    assert read(by_content) == [-1, 0, -1, 1]
    by_name = table(files, [1, 0], other=[0, 1])
    assert read(by_name) == [-1, 1, -1, 0]
    assert read(by_name, "other") == [-1, 0, -1, 1]
    with pytest.raises(SourceError, match=r"has 2 columns that may be labels .*label_column"):
        read(by_name.rename(columns={"label": "first"}))
    with pytest.raises(SourceError, match=r"has 0 columns that may be labels \(none beside"):
        read(pd.DataFrame({"path": files}))
    with pytest.raises(SourceError, match="no column 'colour' of labels; it has 'label', 'other'"):
        read(by_name, "colour")


def test_what_the_table_gets_wrong_is_named():
    with pytest.raises(SourceError, match=r"names '9\.png' and 1 more, but none of the 4 images"):
        read(table(["2.png", "9.png", "10.png"], [0, 1, 1]))
    with pytest.raises(SourceError, match=r"names '0\.png', and 2 images are called so"):
        read(table(["0.png"], [1]))
    with pytest.raises(SourceError, match=r"no column that names one of the 4 images .*good/0"):
        read(table(["a", "b"], [1, 0]))
    with pytest.raises(LabelError, match=r"two labels to 'scratch/2\.png': 1 and 0"):
        read(table(["2.png", "scratch/2.png"], [1, 0]))
    with pytest.raises(LabelError, match="column 'label' holds 'maybe' in row 1"):
        read(table(["1.png", "2.png"], [1, "maybe"]))
    assert read(table(["2.png", "2.png"], [1, 1])) == [-1, -1, -1, 1]


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_the_table_may_be_a_file(tmp_path, suffix):
    path = tmp_path / f"labels.{suffix}"
    comma = "," if suffix == "csv" else "\t"
    path.write_text(f"image{comma}label\n2.png{comma}1\n1.png{comma}\n")
    assert table_labels(path, NAMES, PATHS, None).tolist() == [-1, -1, -1, 1]
    with pytest.raises(SourceError, match="does not exist"):
        table_labels(tmp_path / "none.csv", NAMES, PATHS, None)
    path.write_text(f"image{comma}label\n7.png{comma}1\n1.png{comma}\n")
    with pytest.raises(SourceError, match=rf"labels\.{suffix}' names '7\.png'"):
        table_labels(path, NAMES, PATHS, None)
