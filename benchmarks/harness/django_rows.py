"""A program of its own: imports a CSV file with django-import-export, and prints rows per second.

Into SQLite in memory, in bulk, without diffs, transactions and look-ups: the fastest that it can be told.
"""

import sys
import time
from pathlib import Path

import django
from django.conf import settings

DATABASE = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
settings.configure(DATABASES={"default": DATABASE}, INSTALLED_APPS=["import_export"], USE_TZ=True)
django.setup()

import tablib  # noqa: E402 - after the set-up
from django.db import connection, models  # noqa: E402
from import_export.resources import ModelResource  # noqa: E402


class Person(models.Model):
    """A row."""

    email = models.CharField(max_length=200)
    name = models.CharField(max_length=200)
    age = models.IntegerField()

    class Meta:
        """Belong to no application."""

        app_label = "benchmark"

    def __str__(self) -> str:
        """Show the key."""
        return str(self.email)


class PeopleResource(ModelResource):
    """The importer."""

    class Meta:
        """Be fast."""

        model = Person
        fields = ("email", "name", "age")
        import_id_fields = ("email",)
        use_bulk = True
        batch_size = 1000
        skip_diff = True
        use_transactions = False
        force_init_instance = True


def main() -> None:
    """Import the file that the command line names."""
    with connection.schema_editor() as editor:
        editor.create_model(Person)
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    begun = time.perf_counter()
    rows = tablib.Dataset().load(text, format="csv")
    PeopleResource().import_data(rows, raise_errors=True)
    seconds = time.perf_counter() - begun
    count = Person.objects.count()
    if count != len(rows):
        sys.exit(f"{count} of {len(rows)} rows are in")
    print(count / seconds)


if __name__ == "__main__":
    main()
