"""Checks annotations while tests run; an int is a float, as it is to static checkers."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
