"""Units of any number from a fixed one."""

import pytest
import torch

from netwright.generators.units import UNITS, balanced, widened


@pytest.mark.parametrize("mixtures", [4, 9, 16])
def test_mixtures_have_variance_1_in_the_first_rows_and_columns_of_any_number_of_tiles(mixtures):
    torch.manual_seed(0)
    side = int(mixtures**0.5)
    matrices = balanced(mixtures, 2)
    assert matrices.shape == (2, mixtures, UNITS, UNITS)
    shares = torch.nn.functional.normalize(torch.randn(20, mixtures), dim=1)
    mixed = torch.einsum("tk,ckab->tcab", shares, matrices)
    for rows, columns in ((side, side), (2 * side, 5 * side), (UNITS // side * side, side)):
        part = mixed[..., :rows, :columns].square().mean(dim=(-1, -2))
        torch.testing.assert_close(part, torch.ones_like(part), rtol=1e-4, atol=1e-4)


def test_balanced_numbers_look_like_those_of_a_normal_distribution():
    torch.manual_seed(0)
    numbers = balanced(16, 4)
    assert abs(float(numbers.mean())) < 0.02
    # Rows of an orthogonal matrix are bounded: tails are a little thinner.
    kurtosis = float(numbers.pow(4).mean() / numbers.square().mean() ** 2)
    assert 2.5 < kurtosis < 3.1
    # No two matrices, and no two tiles of one, are alike.
    flat = numbers.flatten(0, 1).flatten(1)
    alike = torch.corrcoef(flat) - torch.eye(len(flat))
    assert float(alike.abs().max()) < 0.1


def test_more_units_than_there_are_have_the_same_spread():
    torch.manual_seed(0)
    value = torch.randn(3, UNITS)
    more = widened(value, 1, 1_000)
    assert torch.equal(more[:, :UNITS], value)
    assert 0.8 < float(more[:, UNITS:].std() / value.std()) < 1.2
    assert torch.equal(widened(value, 1, 70), more[:, :70])
