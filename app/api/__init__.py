"""The edge: one file for each noun of the REST API."""
