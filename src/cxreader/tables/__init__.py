"""The one reader of tables: CSV and its kin, Parquet and Excel become named columns and numbered rows of text."""

from cxreader.tables.cells import NO_AGE, NO_SEX, parse_age, parse_number, parse_sex
from cxreader.tables.names import is_table_name
from cxreader.tables.table import Table, read_table

__all__ = [
    "NO_AGE",
    "NO_SEX",
    "Table",
    "is_table_name",
    "parse_age",
    "parse_number",
    "parse_sex",
    "read_table",
]
