"""Erasing a person: name, e-mail and login leave every table; rows and figures stay."""
