"""What the command line shows of a source without importing it, and of a dry run."""

from pathlib import Path

from tests.cli.conftest import Call

PEOPLE = "E-Mail;Age;Shoe size\na@x;1;40\nb@x;-1;41\nc@x;many;42\n"


def test_a_preview_shows_what_the_file_is_and_which_column_is_which_field(call: Call, home: Path) -> None:
    (home / "people.csv").write_bytes(PEOPLE.encode("utf-16"))

    answer = call("import", "app:engine", "people", "people.csv", "--preview")

    assert answer.code == 0, answer.err
    assert [line.split() for line in answer.out.splitlines()] == [
        ["format", "csv"],
        ["encoding", "utf-16"],
        ["delimiter", "';'"],
        ["columns", "3"],
        ["unused", "Shoe", "size"],
        ["COLUMN", "FIELD", "CONFIDENCE"],
        ["E-Mail", "email", "95%"],
        ["Age", "age", "95%"],
    ]
    told = call("import", "app:engine", "people", "people.csv", "--preview", "--json").data
    assert told["mapping"] == {"E-Mail": "email", "Age": "age"}
    assert told["found"]["encoding"] == "utf-16"


def test_a_preview_exits_1_when_a_field_has_no_column(call: Call, home: Path) -> None:
    (home / "people.csv").write_text("E-Mail,Shoe size\na@x,1\n")

    answer = call("import", "app:engine", "people", "people.csv", "--preview")

    assert answer.code == 1
    assert "missing    age" in answer.out


def test_guessed_columns_are_mapped_when_that_is_asked_for(call: Call, home: Path) -> None:
    (home / "people.csv").write_text(PEOPLE)

    assert call("import", "app:engine", "people", "people.csv").code == 2
    answer = call("import", "app:engine", "people", "people.csv", "--guess", "--dry-run")
    assert answer.code == 0, answer.err
    assert call("worker", "app:engine", "--burst").code == 0
    job = call("jobs", "show", answer.out.strip(), "--url", "sqlite:///jobs.db", "--json").data
    assert (job["succeeded"], job["failed"]) == (1, 2)


def test_a_template_holds_the_columns_and_is_never_written_over(call: Call, home: Path) -> None:
    shown = call("import", "app:engine", "people", "-", "--template")
    assert shown.out.split() == ["email,age"]
    for name in ("people.csv", "people.xlsx"):
        assert call("import", "app:engine", "people", name, "--template").code == 0
        again = call("import", "app:engine", "people", name, "--template")
        assert again.code == 2
        assert "can't be written" in again.err
    looked = call("import", "app:engine", "people", "people.xlsx", "--preview", "--json").data
    assert looked["found"]["columns"] == ["email", "age"]
    assert call("import", "app:engine", "people", "people.pdf", "--template").code == 2


def test_an_import_says_what_its_file_was_taken_for(call: Call, home: Path) -> None:
    (home / "people.csv").write_bytes("email;age\na@x;1\n".encode("cp1252"))
    taken = {"format": "csv", "compression": None, "encoding": "utf-8", "delimiter": ";"}

    answer = call("import", "app:engine", "people", "people.csv")
    assert answer.err.splitlines()[0] == "people.csv: CSV, utf-8, delimiter ';', 2 columns: email, age"
    data = call("import", "app:engine", "people", "people.csv", "--json").data
    assert data["source"] == {**taken, "columns": ["email", "age"]}
    assert call("worker", "app:engine", "--burst").code == 0
    for job_id in (answer.out.strip(), data["id"]):
        job = call("jobs", "show", job_id, "--url", "sqlite:///jobs.db", "--json").data
        assert job["result"] == {"source": data["source"], "duplicates": 0, "earlier": 0}
    assert "delimiter" in call("jobs", "show", data["id"], "--url", "sqlite:///jobs.db").out
