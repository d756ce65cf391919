"""Database: one search on disk, in SQLite. Every write is a transaction of a few rows, however long the search."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tfkit.errors import SearchError

FORMAT = 1

_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE trials (
    number INTEGER PRIMARY KEY,  -- in the order of creation
    status TEXT NOT NULL,
    hyperparameters TEXT NOT NULL,  -- JSON, active values alone
    runs INTEGER NOT NULL DEFAULT 0,  -- runs that have ended
    ended INTEGER,  -- in the order of ending; NULL until it needs no run any more
    score REAL,
    best_step,
    message TEXT
);
CREATE TABLE observations (
    trial INTEGER NOT NULL,
    metric TEXT NOT NULL,
    step NOT NULL,
    execution INTEGER NOT NULL,
    value REAL,  -- NULL stands for NaN, which SQLite does not hold
    PRIMARY KEY (trial, metric, step, execution)
) WITHOUT ROWID;
"""


class Database:
    """A search's database.

    Commits survive the death of the process. After a loss of power the last ones may be missing, and
    the trials they tell of run again; the database itself stays whole.

    Args:
        path: Its file; None for one in memory.

    Raises:
        SearchError: The file is no search's database, is from a newer version, or cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self.name = "the search in memory" if path is None else str(path)
        if path is not None:
            _make_folder(path.parent)
        with self._told():
            # Transactions are begun by hand; the oracle's lock keeps threads apart.
            self._connection = sqlite3.connect(
                path or ":memory:", timeout=30, isolation_level=None, check_same_thread=False
            )
        self._close = weakref.finalize(self, self._connection.close)
        with self._told():
            self._prepare()

    def close(self) -> None:
        """Closes the file. Nothing is lost without."""
        self._close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes of the block, or none of them.

        Raises:
            SearchError: The database cannot be written; the text says why.
        """
        with self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._connection.in_transaction:  # a full disk has rolled it back already
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def facts(self) -> dict[str, Any]:
        """What holds for the whole search, by name."""
        return {name: json.loads(value) for name, value in self._rows("SELECT name, value FROM facts")}

    def set_fact(self, name: str, value: Any) -> None:
        """Stores what JSON can hold."""
        self._write("INSERT OR REPLACE INTO facts VALUES (?, ?)", [(name, json.dumps(value))])

    def trials(self) -> Iterator[dict[str, Any]]:
        """The rows of trials, in the order of creation."""
        columns = ("number", "status", "hyperparameters", "runs", "ended", "score", "best_step", "message")
        for row in self._rows(f"SELECT {', '.join(columns)} FROM trials ORDER BY number"):
            found = dict(zip(columns, row))
            yield {**found, "hyperparameters": json.loads(found["hyperparameters"])}

    def has_completed(self) -> bool:
        """Whether a trial was completed."""
        return bool(self._rows("SELECT 1 FROM trials WHERE status = 'COMPLETED' LIMIT 1"))

    def observations(self) -> Iterator[tuple[int, str, Any, float]]:
        """Trial, metric, step and value of everything that was reported, in the order of steps and executions."""
        query = "SELECT trial, metric, step, value FROM observations ORDER BY trial, metric, step, execution"
        for trial, metric, step, value in self._rows(query):
            yield trial, metric, step, math.nan if value is None else value

    def add_trial(self, number: int, values: Mapping[str, Any]) -> None:
        """Adds a trial that begins to run."""
        text = json.dumps(values)
        self._write("INSERT INTO trials (number, status, hyperparameters) VALUES (?, 'RUNNING', ?)", [(number, text)])

    def restart_trial(self, number: int) -> None:
        """Forgets what an earlier run of the trial has reported."""
        self._write("DELETE FROM observations WHERE trial = ?", [(number,)])
        reset = "UPDATE trials SET status = 'RUNNING', score = NULL, best_step = NULL, message = NULL WHERE number = ?"
        self._write(reset, [(number,)])

    def end_trial(self, number: int, values: Mapping[str, Any], **columns: Any) -> None:
        """Stores how a run of a trial has ended: status, runs, ended, score, best_step, message."""
        columns["hyperparameters"] = json.dumps(values)
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self._write(f"UPDATE trials SET {assignments} WHERE number = ?", [(*columns.values(), number)])

    def add_observations(self, rows: Iterable[tuple[int, str, Any, int, float]]) -> None:
        """Adds trial, metric, step, execution and value of what is reported."""
        self._write("INSERT INTO observations VALUES (?, ?, ?, ?, ?)", rows)

    def _prepare(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise SearchError(
                f"{self.name} was written by a newer tfkit (its format is {version}, this one reads {FORMAT}): "
                "upgrade tfkit-keras, or search in another directory"
            )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        if version == FORMAT:
            return
        if self._rows("SELECT name FROM sqlite_master"):
            raise SearchError(f"{self.name} is another program's database: search in another directory")
        self._connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version = {FORMAT};COMMIT;")

    def _rows(self, query: str) -> list[Any]:
        with self._told():
            return self._connection.execute(query).fetchall()

    def _write(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self._told():
            self._connection.executemany(statement, rows)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Makes SQLite's errors say which file they are about."""
        try:
            yield
        except sqlite3.Error as error:
            raise SearchError(f"{self.name} cannot be used as a search's database: {error}") from error


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SearchError(f"the directory {path} cannot be made ({error.strerror}): search in another") from None
