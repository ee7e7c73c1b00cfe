"""Refitted statistics are those of the data, and weights stay."""

from __future__ import annotations

import torch
from torch import nn

from training.batch_statistics import refit_statistics


def test_the_mean_over_all_batches_and_nothing_else() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, momentum=0.01)).eval()
    conv, norm = model[0], model[1]
    batches = [(torch.randn(8, 3, 5, 5) + i,) for i in range(4)]
    weights = [p.detach().clone() for p in model.parameters()]
    refit_statistics(model, batches, lambda m, batch: m(batch[0]))
    with torch.no_grad():
        features = [conv(batch[0]) for batch in batches]
    means = torch.stack([f.mean((0, 2, 3)) for f in features]).mean(0)
    variances = torch.stack([f.var((0, 2, 3)) for f in features]).mean(0)
    torch.testing.assert_close(norm.running_mean, means)
    torch.testing.assert_close(norm.running_var, variances)
    assert norm.momentum == 0.01
    assert not model.training
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
