"""The one reader of tables: CSV and its kin, Parquet and Excel become named columns and numbered rows of text."""

from cxreader.tables.cells import AGE_UNITS, parse_age, parse_number
from cxreader.tables.names import is_table_name
from cxreader.tables.table import Table, read_table

__all__ = ["AGE_UNITS", "Table", "is_table_name", "parse_age", "parse_number", "read_table"]
