"""Policies for machines: flown, watched, rewritten under way, and put on a page."""

from netwright.apps.control.flight import Change, Flight, fly, parse_machine
from netwright.apps.control.maps import draw_map
from netwright.apps.control.page import write_page
from netwright.apps.control.picture import animate

__all__ = ["Change", "Flight", "animate", "draw_map", "fly", "parse_machine", "write_page"]
