"""Layers whose weights change while they run: hypernetworks inside one network, to put in a model of your own."""

from netwright.dynamic.hyper_lstm import HyperLSTM, HyperLSTMState

__all__ = ["HyperLSTM", "HyperLSTMState"]
