"""One set of weights per sample, written from the sample."""

from torch import Tensor, nn

from netwright.conditions import Condition
from netwright.errors import RunError
from netwright.hypernetwork import Hypernetwork
from netwright.shapes import check_shape


class PerSample(nn.Module):
    """A layer whose weights are written anew for every sample, and run on that sample alone.

        y[b] = child(hypernetwork(source[b]), x[b])

    It is trained like any layer, with whatever stands before and behind it. Samples are independent:
    the others of a batch change nothing.

    Args:
        hypernetwork: Reads one `Input` and writes any child without exchangeable classes.

    Raises:
        RunError: If the hypernetwork reads something else, or its child cannot be run on one row.

    References:
        De Brabandere et al., Dynamic filter networks, arXiv:1605.09673.
        Yang et al., CondConv, arXiv:1904.04971.
    """

    def __init__(self, hypernetwork: Hypernetwork) -> None:
        super().__init__()
        reads = hypernetwork.conditioner.reads
        if reads != ("input",):
            raise RunError(
                f"The hypernetwork reads {list(reads)}, expected ['input'] alone: a sample is all that its "
                "weights can be written from. Give it `netwright.conditioners.Input`."
            )
        child = hypernetwork.child
        if child.class_head is not None:
            raise RunError(
                f"The child has a head of exchangeable classes at {child.class_head!r}, expected none: a "
                "sample has no examples of classes. Leave `class_head` out, or give the architecture "
                "`outputs` in place of `classes`."
            )
        for path, part in child.template.named_modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                raise RunError(
                    f"The child has {type(part).__name__} at {path!r}, expected no statistics over rows: "
                    'there is one per child. Pass `batch_norm="group"` to `Child`.'
                )
        self.hypernetwork = hypernetwork

    def forward(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        """Outputs [B, C], one child per row.

        Args:
            x: What the children are run on, [B, *].
            source: What their weights are written from, [B, *]; x itself by default.

        Raises:
            ShapeError: If an axis or a dtype does not fit.
        """
        check_shape("x", x, "B *")
        if source is None:
            source = x
        check_shape(
            "source", source, "B *", B=len(x), hint="Each row of x has a source of its own."
        )
        if not len(x):
            # One row of zeros tells the shape of no row at all.
            row = x.new_zeros(1, *x.shape[1:]), source.new_zeros(1, *source.shape[1:])
            nothing: Tensor = self(*row)[:0]
            return nothing
        params = self.hypernetwork(Condition(input=source))
        y: Tensor = self.hypernetwork.child(params, x.unsqueeze(1)).squeeze(1)
        return y
