"""Environments by name; what needs a package that is not installed skips the test."""

import pytest

from netwright.environments import ENVIRONMENTS
from netwright.errors import MissingExtraError
from netwright.tasks import Control


def environment_named(name):
    try:
        return ENVIRONMENTS[name]()
    except MissingExtraError as missing:
        pytest.skip(str(missing))


def family_of(name, **options):
    environment_named(name)
    return Control(name, **options)
