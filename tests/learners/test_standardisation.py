from dataclasses import replace

import numpy as np
import torch

from oddshot.learners import Shape, collate
from oddshot.learners.standardisation import (
    moments,
    standard_facts,
    standard_rows,
    unstandardised,
)


def test_to_begin_with_nothing_changes(synthetic_tasks):
    tasks = synthetic_tasks(3)
    batch, params = collate(tasks), unstandardised(Shape.of(tasks[0]))
    assert torch.equal(standard_rows(params, batch.query), batch.query)
    assert torch.equal(standard_facts(params, batch.table), batch.table)


def test_supports_become_standard_and_every_task_counts_alike(synthetic_tasks):
    tasks = synthetic_tasks(5)
    params = moments(tasks)
    means = [standard_rows(params, torch.tensor(t.support)).mean(0) for t in tasks]
    squares = [standard_rows(params, torch.tensor(t.support)).square().mean(0) for t in tasks]
    np.testing.assert_allclose(torch.stack(means).mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(torch.stack(squares).mean(0), 1, rtol=1e-4)


def test_what_no_support_shows_drops_out(synthetic_tasks):
    hidden = [
        replace(t, support=t.support * (np.arange(6) < 4)[:, None]) for t in synthetic_tasks(3)
    ]
    params = moments([replace(t, support=t.support.astype(np.float32)) for t in hidden])
    rows = standard_rows(params, torch.tensor(hidden[0].query)[None])
    assert (rows[:, :, 4:] == 0).all()
    assert (rows[:, :, :4] != 0).all()


def test_facts_stay_within_what_was_seen(synthetic_tasks):
    params = moments(synthetic_tasks(6))
    strange = torch.tensor([[100.0, 0.5], [-100.0, 0.5]])
    assert standard_facts(params, strange).tolist() == [[3.0, 0.0], [-3.0, 0.0]]
