"""Published sizes, to the unit.

Hourglass rows: Table 1 of https://arxiv.org/abs/2302.04815, whose MAdds column follows the rule of
`Complexity.madds_document`; the paper prints two decimals, the figures here have four.
"""

from __future__ import annotations

import pytest

from training.complexity import count
from training.registry import get_model


@pytest.mark.parametrize(
    ("name", "params", "madds_g"),
    [
        ("hourglass_1stack", 3_586_960, "5.9044"),
        ("hourglass_2stack", 6_730_912, "9.1408"),
        ("hourglass_3stack", 9_874_864, "12.3771"),
        ("hourglass_168", 2_988_152, "4.4246"),
        ("hourglass_168_separable", 1_361_000, "2.3365"),
        ("hourglass_168_resconcat_narrowres", 1_417_616, "2.5670"),
    ],
)
def test_hourglass_rows(name: str, params: int, madds_g: str) -> None:
    entry = get_model(name)
    found = count(entry.build(), entry.input_size)
    assert found.params == params
    assert f"{found.madds_document / 1e9:.4f}" == madds_g


def test_every_further_stack_adds_the_same() -> None:
    per_stack = 6_730_912 - 3_586_960
    model = get_model("hourglass_8stack").build()
    assert sum(p.numel() for p in model.parameters()) == 3_586_960 + 7 * per_stack
