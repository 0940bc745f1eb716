"""What maps an embedding to the parameters of T children.

`GENERATORS` turns the names in run records into classes; a name is never reused.
"""

from netwright.generators.base import StochasticGenerator, WeightGenerator, Written
from netwright.generators.basis import Basis
from netwright.generators.chunked import Chunked
from netwright.generators.dense import Dense
from netwright.generators.distribution import WeightDistribution
from netwright.generators.gaussian import Gaussian
from netwright.generators.graph import Graph
from netwright.generators.layer_tokens import LayerTokens
from netwright.generators.low_rank import LowRankGenerator
from netwright.generators.slots import Slots

GENERATORS: dict[str, type[WeightGenerator]] = {
    "basis": Basis,
    "chunked": Chunked,
    "dense": Dense,
    "gaussian": Gaussian,
    "graph": Graph,
    "layer-tokens": LayerTokens,
    "low-rank": LowRankGenerator,
    "slots": Slots,
}

__all__ = [
    "GENERATORS",
    "Basis",
    "Chunked",
    "Dense",
    "Gaussian",
    "Graph",
    "LayerTokens",
    "LowRankGenerator",
    "Slots",
    "StochasticGenerator",
    "WeightDistribution",
    "WeightGenerator",
    "Written",
]
