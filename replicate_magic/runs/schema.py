"""Owns the tables of history, as the steps that lead to them; must not run them.

`PRAGMA user_version` counts the steps that a file has taken. A step that has been released is never
changed: what is new is a new step.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A change of the tables, and what it is for."""

    name: str
    statements: tuple[str, ...]


STEPS = (
    Step(
        name="narrow columns, texts and documents apart, so that a table reads no documents",
        statements=(
            """
            CREATE TABLE prediction (
                key INTEGER PRIMARY KEY,
                id TEXT NOT NULL,
                origin TEXT NOT NULL,
                model TEXT NOT NULL,
                version TEXT,
                status TEXT NOT NULL,
                created_us INTEGER,
                started_us INTEGER,
                completed_us INTEGER,
                error TEXT,
                tag TEXT,
                metrics TEXT NOT NULL,
                local TEXT NOT NULL,
                UNIQUE (id, origin)
            )
            """,
            "CREATE INDEX prediction_created ON prediction (created_us)",
            """
            CREATE TABLE text (
                key INTEGER PRIMARY KEY,
                prompt TEXT NOT NULL,
                output TEXT NOT NULL
            )
            """,
            # raw_local holds a `local` of the API's own: ours is the document's only one.
            """
            CREATE TABLE document (
                key INTEGER PRIMARY KEY,
                raw TEXT NOT NULL,
                raw_local TEXT,
                local TEXT NOT NULL
            )
            """,
            """
            CREATE TRIGGER prediction_deleted AFTER DELETE ON prediction BEGIN
                DELETE FROM text WHERE key = old.key;
                DELETE FROM document WHERE key = old.key;
            END
            """,
        ),
    ),
    Step(
        name="runs found by what they ask for and by their batch, and batches with their requests",
        statements=(
            # The narrow `local` has both as texts; only runs that have one are in its index.
            """
            CREATE INDEX prediction_request
            ON prediction (json_extract(local, '$.request_sha256'), created_us)
            WHERE json_extract(local, '$.request_sha256') IS NOT NULL
            """,
            """
            CREATE INDEX prediction_batch
            ON prediction (json_extract(local, '$.batch'), created_us)
            WHERE json_extract(local, '$.batch') IS NOT NULL
            """,
            # All but the id is null where another file has it: see `Batches.take`.
            """
            CREATE TABLE batch (
                id TEXT PRIMARY KEY NOT NULL,
                created_us INTEGER,
                total INTEGER,
                settings TEXT,
                state TEXT,
                ended_us INTEGER
            )
            """,
            # item is JSON; its long texts are references to batch_text.
            """
            CREATE TABLE batch_item (
                batch TEXT NOT NULL,
                number INTEGER NOT NULL,
                target TEXT NOT NULL,
                request_sha256 TEXT NOT NULL,
                item TEXT NOT NULL,
                PRIMARY KEY (batch, number)
            ) WITHOUT ROWID
            """,
            """
            CREATE TABLE batch_text (
                key INTEGER PRIMARY KEY,
                batch TEXT NOT NULL,
                sha256 TEXT NOT NULL,
                text TEXT NOT NULL,
                UNIQUE (batch, sha256)
            )
            """,
            """
            CREATE TRIGGER batch_deleted AFTER DELETE ON batch BEGIN
                DELETE FROM batch_item WHERE batch = old.id;
                DELETE FROM batch_text WHERE batch = old.id;
            END
            """,
        ),
    ),
    Step(
        name="who drives a batch: see `driving.Driver`; null where nobody does",
        statements=("ALTER TABLE batch ADD COLUMN driver TEXT",),
    ),
    Step(
        name="requests of batches without a digest of their own: their runs have it",
        statements=(
            # SQLite before 3.35 drops no columns.
            "DROP TRIGGER batch_deleted",
            "ALTER TABLE batch_item RENAME TO batch_item_before",
            """
            CREATE TABLE batch_item (
                batch TEXT NOT NULL,
                number INTEGER NOT NULL,
                target TEXT NOT NULL,
                item TEXT NOT NULL,
                PRIMARY KEY (batch, number)
            ) WITHOUT ROWID
            """,
            "INSERT INTO batch_item SELECT batch, number, target, item FROM batch_item_before",
            "DROP TABLE batch_item_before",
            """
            CREATE TRIGGER batch_deleted AFTER DELETE ON batch BEGIN
                DELETE FROM batch_item WHERE batch = old.id;
                DELETE FROM batch_text WHERE batch = old.id;
            END
            """,
        ),
    ),
    Step(
        name="requests that are being sent, so that what a process created that died is found",
        statements=(
            # A row is deleted as soon as its prediction has its own; `driver` as for a batch.
            """
            CREATE TABLE sent (
                key TEXT PRIMARY KEY NOT NULL,
                request_sha256 TEXT NOT NULL,
                origin TEXT NOT NULL,
                driver TEXT NOT NULL,
                request TEXT NOT NULL
            ) WITHOUT ROWID
            """,
        ),
    ),
)
