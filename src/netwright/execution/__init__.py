"""Running one module with the weights of T tasks, without ever writing into the module.

How, from the fastest to what always works:

- a *chain* (a layer, or nested `nn.Sequential`s of layers) is walked, each layer run by its kernel;
- a *composite* (any module whose own code only calls its parts and handles rows) runs its own code once,
  on the rows of all tasks laid end to end, with the parts that have weights of their own per task run by
  kernels; whether that is right is checked against a loop on a small example first;
- what neither fits is run by `vmap`, and where that has no rule, by a loop over tasks; part by part.

The answer is the same whichever it is.
"""

from netwright.execution.executor import Executor, Precision, Strategy, check_rows
from netwright.execution.plan import Plan, PlanLine

__all__ = ["Executor", "Plan", "PlanLine", "Precision", "Strategy", "check_rows"]
