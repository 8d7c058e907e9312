"""``oddshot bench | bench-report``."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oddshot.cli.console import console_of_stdout, progress_bar, say, tells_what_is_kept
from oddshot.cli.options import Jobs, PriorPath, names_of, numbers_of, was_given
from oddshot.cli.outputs import check_page
from oddshot.errors import SettingError

if TYPE_CHECKING:
    import pandas as pd

    from oddshot.evaluation.published import Published
    from oddshot.evaluation.summary import Summary

Anchors = Annotated[
    Path | None,
    typer.Option(
        "--anchors",
        metavar="DIR",
        help="Published results to set beside: of adbench, dte, and one-class on oddbench.",
    ),
]


def bench(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Tables with labels.", envvar="ODDSHOT_DATA"),
    ] = None,
    *,
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol",
            metavar="NAME,...",
            help="few-label, one-class, adbench, dte, novel-type, leave-domain-out; commas "
            "between.",
        ),
    ] = "few-label,one-class",
    k: Annotated[
        str, typer.Option("--k", metavar="N,...", help="Numbers of labelled anomalies.")
    ] = "0,1,5,20",
    la: Annotated[
        str,
        typer.Option(
            "--la", metavar="N,...", help="adbench: per cent of the anomalies that are labelled."
        ),
    ] = "1,5,10,25,50",
    types: Annotated[
        str | None,
        typer.Option(
            "--types",
            metavar="COLUMN",
            help="novel-type: the column that names each anomaly's type; of NSL-KDD category or "
            "type. Without it types are planted.",
        ),
    ] = None,
    label_column: Annotated[
        str | None,
        typer.Option(
            "--label-column",
            metavar="NAME",
            help="The column of labels in all tables; else the one called label, fraud, ...",
        ),
    ] = None,
    group_column: Annotated[
        str | None,
        typer.Option(
            "--group-column",
            metavar="NAME",
            help="Rows alike here, as of one patient, stand on one side of a split; it is no "
            "feature.",
        ),
    ] = None,
    domain: Annotated[
        str | None,
        typer.Option(
            "--domain",
            metavar="FIELD",
            help="leave-domain-out: the field whose tables are tested, such as medicine.",
        ),
    ] = None,
    disturb: Annotated[
        str,
        typer.Option(
            "--disturb",
            metavar="KIND=X,...",
            help="Run this too: duplicates=3, irrelevant=0.3, label-errors=0.1.",
        ),
    ] = "",
    seeds: Annotated[
        str, typer.Option("--seeds", metavar="N,...", help="One split each.")
    ] = "1,2,3",
    group: Annotated[
        str, typer.Option("--group", help="Detectors: default, few-label, zero-label or deep.")
    ] = "default",
    detectors: Annotated[
        str | None,
        typer.Option(
            "--detectors",
            metavar="NAME,...",
            help="Names in place of a group, or file.py:NAME; the others meet the first.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where to keep what was measured.")
    ] = Path("runs/bench"),
    jobs: Jobs = 2,
    max_rows: Annotated[
        int, typer.Option("--max-rows", min=0, help="Sample larger tables to this size; 0: do not.")
    ] = 4000,
    prior: PriorPath = "default",
    allow_seen: Annotated[
        bool, typer.Option("--allow-seen", help="Test also on what the prior was trained on.")
    ] = False,
    unseen_only: Annotated[
        bool, typer.Option("--unseen-only", help="Leave out tables that the prior was trained on.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Only the first N tables.")
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option("--tables", min=1, metavar="N", help="Only N tables, chosen at random."),
    ] = None,
    table_seed: Annotated[
        int, typer.Option("--table-seed", min=0, help="Seed of the draw of --tables.")
    ] = 0,
    limit_s: Annotated[
        float | None,
        typer.Option("--limit-s", metavar="SECONDS", help="Break off a run that takes longer."),
    ] = None,
    anchors: Anchors = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="HTML", help="Write a page with figures.")
    ] = None,
) -> None:
    """Compare detectors on a folder of labelled tables. Goes on where a run was stopped."""
    with tells_what_is_kept(lambda: _kept(out)):
        from oddshot.evaluation.benchmarks import run_benchmark, sample_tables
        from oddshot.evaluation.domains import left_out
        from oddshot.evaluation.novel_types import tables_with_types
        from oddshot.evaluation.peers import OWN, group_names
        from oddshot.evaluation.protocols import LEAVE_DOMAIN_OUT
        from oddshot.evaluation.robustness import Disturbance
        from oddshot.priors import Prior
        from oddshot.wording import counted

        if folder is None:
            raise SettingError("no FOLDER of tables; give one, or set ODDSHOT_DATA to it")
        if report is not None:
            check_page(str(folder), report)
        peers = names_of(detectors) if detectors is not None else group_names(group)
        untold = 0
        protocols = names_of(protocol)
        _check_use(context, protocols, peers)
        tables = tables_with_types(
            folder, types=types, label_column=label_column, group_column=group_column
        )
        if domain is not None and LEAVE_DOMAIN_OUT in protocols:
            tested = Prior.find(prior) if OWN in peers else None
            tables, untold = left_out(tables, domain, prior=tested, folder=folder)
        if unseen_only:
            seen = Prior.find(prior).seen_families
            tables = [table for table in tables if table.family not in seen]
        if sample is not None:
            tables = sample_tables(tables, sample, seed=table_seed)
        with progress_bar("Running") as advance:
            results = run_benchmark(
                tables[:limit],
                out=out,
                protocols=protocols,
                ks=numbers_of("--k", k),
                la=numbers_of("--la", la),
                disturbances=[Disturbance.parse(text) for text in names_of(disturb)],
                seeds=numbers_of("--seeds", seeds),
                peers=peers,
                prior=prior,
                domain=domain or "",
                allow_seen=allow_seen,
                jobs=jobs,
                max_rows=max_rows or None,
                limit_s=limit_s,
                progress=lambda done, total, _: advance(done, total),
            )
        notes = []
        if untold:
            notes.append(
                f"The prior has learned from {counted(untold, 'more families')} without a table "
                f"with named columns in {folder}: whether they are of the field {domain!r} is not "
                "known."
            )
        _tell(results, notes, reference=peers[0], out=out, anchors=anchors, report=report)
        if (results["error"] != "").all():
            raise typer.Exit(1)


def bench_report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="OUT...", help="Folders that `bench` wrote.")
    ],
    *,
    report: Annotated[
        Path, typer.Option("--report", metavar="HTML", help="Where to write it.")
    ] = Path("bench.html"),
    reference: Annotated[
        str, typer.Option("--reference", help="The detector that the others meet.")
    ] = "oddshot",
    title: Annotated[
        str, typer.Option("--title", metavar="TEXT", help="Title of the page.")
    ] = "Benchmark of anomaly detectors",
    anchors: Anchors = None,
) -> None:
    """Write one page with tables and figures on what `bench` has measured."""
    from oddshot.evaluation.results import read_folders
    from oddshot.evaluation.summary import summarise
    from oddshot.reports.bench_page import bench_page
    from oddshot.reports.writing import write_file

    for folder in folders:
        check_page(str(folder / "results.csv"), report)
    summary = summarise(read_folders(folders), reference=reference)
    published = _published(summary, anchors)
    write_file(report, bench_page(summary, published=published, title=title))
    console = console_of_stdout()
    for note in _notes_on(published, anchors):
        say(console, note)
    say(console, f"Report: {report}")


def _kept(out: Path) -> str:
    file = out / "results.csv"
    return f"every run that was finished is kept in {file}" if os.path.exists(file) else ""


def _tell(
    results: "pd.DataFrame",
    notes: Sequence[str],
    *,
    reference: str,
    out: Path,
    anchors: Path | None,
    report: Path | None,
) -> None:
    """Write what results say into ``out``, on the terminal and, where asked for, on a page."""
    from oddshot.evaluation.summary import summarise
    from oddshot.reports.bench_page import bench_page
    from oddshot.reports.figures import draw_label_curves
    from oddshot.reports.tables import summary_as_markdown, summary_for_terminal
    from oddshot.reports.writing import write_file

    summary = summarise(results, reference=reference)
    published = _published(summary, anchors)
    notes = [*notes, *_notes_on(published, anchors)]
    noted = "".join(f"- {note}\n" for note in notes)
    write_file(out / "summary.md", summary_as_markdown(summary, published) + noted)
    if ((results["protocol"] == "few-label") & (results["error"] == "")).any():
        try:
            draw_label_curves(results, out / "curves.png")
        except SettingError as missing:  # matplotlib: all but the picture is there without it
            notes = [*notes, f"No curves.png: {missing}"]
    console = console_of_stdout()
    console.print(summary_for_terminal(summary))
    for note in notes:
        say(console, note)
    if report is not None:
        write_file(report, bench_page(summary, published=published))
        say(console, f"Report: {report}")
    say(console, f"Every run: {out / 'results.csv'}; this summary: {out / 'summary.md'}")


def _check_use(context: typer.Context, protocols: Sequence[str], peers: Sequence[str]) -> None:
    """Refuse options that would change nothing in this run.

    Raises
    ------
    SettingError
        There is such an option.
    """
    from oddshot.evaluation.peers import OWN
    from oddshot.evaluation.protocols import (
        ADBENCH,
        DTE,
        FEW_LABEL,
        LEAVE_DOMAIN_OUT,
        NOVEL_TYPE,
        PROTOCOLS,
    )
    from oddshot.evaluation.published import FILES

    takers = {
        "k": (FEW_LABEL, NOVEL_TYPE, LEAVE_DOMAIN_OUT),
        "la": (ADBENCH,),
        "types": (NOVEL_TYPE,),
        "domain": (LEAVE_DOMAIN_OUT,),
        "anchors": tuple(FILES),
    }
    for option, those in takers.items():
        idle = set(protocols) <= set(PROTOCOLS) - set(those)
        if idle and was_given(context, option):
            raise SettingError(
                f"--{option} is {str(context.params[option])!r}, but {', '.join(protocols)} takes "
                f"none; leave it out, or add {' or '.join(those)} to --protocol"
            )
    grouped = context.params["group_column"]
    if grouped is not None and grouped in (context.params["label_column"], context.params["types"]):
        raise SettingError(f"--group-column {grouped} names labels or types, too; name another")
    planted = NOVEL_TYPE if context.params["types"] is None else ""
    for protocol in (ADBENCH, DTE, planted):
        if grouped is not None and protocol in protocols:
            unless = ", or name types by --types" if protocol == planted else ""
            raise SettingError(
                f"--group-column is {grouped!r}, but {protocol} knows no groups; leave one of them "
                f"out{unless}"
            )
    if was_given(context, "prior") and OWN not in peers and not context.params["unseen_only"]:
        raise SettingError(
            f"--prior is {context.params['prior']!r}, but {OWN} is not among the detectors "
            f"{', '.join(peers)}; leave it out, or add {OWN} to --detectors"
        )
    if was_given(context, "table_seed") and context.params["sample"] is None:
        raise SettingError(
            f"--table-seed is {context.params['table_seed']}, but no tables are drawn; leave it "
            "out, or give --tables N"
        )


def _published(summary: "Summary", anchors: Path | None) -> "list[Published | None]":
    from oddshot.evaluation.published import published_beside

    if anchors is None:
        return [None] * len(summary.comparisons)
    return [published_beside(comparison, anchors) for comparison in summary.comparisons]


def _notes_on(published: "Sequence[Published | None]", anchors: Path | None) -> list[str]:
    """Say so where published results were asked for and there are none to set beside."""
    if anchors is None or any(published):
        return []
    return [
        f"{anchors} holds nothing to set beside these runs: data sets go by the names of their "
        "tables, as cardio or 6_cardio; one-class was published of oddbench alone, adbench with "
        "certain --la; of dte those of fewer than 1,000 rows do not compare."
    ]
