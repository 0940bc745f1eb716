"""Tables of a registry."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()
# SQLite counts up by itself only what it calls INTEGER.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

NETWORKS = Table(
    "netwright_networks",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("owner", String(200), nullable=False),
    Column("network_id", String(64), nullable=False),
    Column("created", Float(53), nullable=False),
    Column("parameters", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("facts", Text, nullable=False),
    Column("about", Text, nullable=False),
    # Where its files lie.
    Column("pack", String(80), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
    UniqueConstraint("owner", "network_id"),
    Index("netwright_networks_of_pack", "pack"),
    Index("netwright_networks_of_owner", "owner", "number"),
    # A number is never given twice: a listing goes on where it was.
    sqlite_autoincrement=True,
)

LEFTOVERS = Table(
    "netwright_leftovers",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("pack", String(80), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
)

FACTS = Table(
    "netwright_registry",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)
