"""Ridge regression for several penalties at once, with what it says of each row when that row is left out."""

import torch
from torch import Tensor


def ridge_path(x: Tensor, y: Tensor, penalties: Tensor) -> tuple[Tensor, Tensor]:
    """Solutions of min |x w - y|^2 + penalty |w|^2, and their predictions for rows that they have not seen.

    Leaving a row out needs no second solution: the residual of row i grows by 1 / (1 - h_i), h the diagonal of the
    hat matrix. Both forms of the system are solved by one Cholesky factor, the smaller one being taken.

    Args:
        x: Rows, [T, S, F]; rows of zeros count for nothing.
        y: Targets, [T, S, C]; zero for such rows.
        penalties: K penalties per task, positive, [T, K].

    Returns:
        Weights [T, K, F, C], and leave-one-out predictions [T, K, S, C].

    References:
        Rifkin and Lippert, Notes on Regularized Least Squares, MIT-CSAIL-TR-2007-025.
    """
    rows, features = x.shape[1:]
    transposed = x.transpose(1, 2)
    shifts = penalties[..., None, None]
    if rows <= features:
        eye = torch.eye(rows, dtype=x.dtype, device=x.device)
        inverse = torch.cholesky_inverse(
            torch.linalg.cholesky((x @ transposed).unsqueeze(1) + shifts * eye)
        )
        dual = inverse @ y.unsqueeze(1)
        loo = y.unsqueeze(1) - dual / inverse.diagonal(dim1=2, dim2=3).unsqueeze(-1)
        return transposed.unsqueeze(1) @ dual, loo
    eye = torch.eye(features, dtype=x.dtype, device=x.device)
    factor = torch.linalg.cholesky((transposed @ x).unsqueeze(1) + shifts * eye)
    half = torch.linalg.solve_triangular(factor, transposed.unsqueeze(1), upper=False)
    weights = torch.linalg.solve_triangular(
        factor.transpose(2, 3), half @ y.unsqueeze(1), upper=True
    )
    leverage = half.square().sum(dim=2).clamp(max=1 - 1e-4).unsqueeze(-1)
    fitted = x.unsqueeze(1) @ weights
    return weights, y.unsqueeze(1) - (y.unsqueeze(1) - fitted) / (1 - leverage)


__all__ = ["ridge_path"]
