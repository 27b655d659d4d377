"""``manage.py torture``: see torture/, which is not part of what is served."""
