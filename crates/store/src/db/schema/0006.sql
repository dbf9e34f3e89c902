-- A text that one archive has is at the place of its message; only another that shares it need be found.
DROP INDEX archive_of_bodies;
CREATE INDEX archive_sharing ON archive (body) WHERE body <> place;
-- SQLite:
-- What is written and dropped with every message stands in one tree instead of two.
ALTER TABLE sessions RENAME TO sessions_before;
CREATE TABLE sessions (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    state BLOB NOT NULL,
    handled BIGINT NOT NULL,
    acked BIGINT NOT NULL,
    over_at BIGINT,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;
INSERT INTO sessions SELECT * FROM sessions_before;
DROP TABLE sessions_before;
ALTER TABLE owed RENAME TO owed_before;
CREATE TABLE owed (
    owner TEXT NOT NULL,
    session TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    shared TEXT NOT NULL,
    xml BLOB NOT NULL,
    PRIMARY KEY (owner, session, number)
) WITHOUT ROWID;
INSERT INTO owed SELECT * FROM owed_before;
DROP TABLE owed_before;
ALTER TABLE offline RENAME TO offline_before;
CREATE TABLE offline (
    owner TEXT NOT NULL,
    id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    xml BLOB NOT NULL,
    archived BIGINT,
    PRIMARY KEY (owner, id)
) WITHOUT ROWID;
INSERT INTO offline SELECT * FROM offline_before;
DROP TABLE offline_before;
-- PostgreSQL:
