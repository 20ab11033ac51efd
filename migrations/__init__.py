"""The schema's history, one idea a file: expand before a deploy, contract after it."""
