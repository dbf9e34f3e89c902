-- Archives of messages (XEP-0313), and what their words are found by.
CREATE TABLE archive_owners (
    id BIGINT NOT NULL PRIMARY KEY,
    -- NULL: the account is gone, and what it had is being cleared away.
    owner TEXT UNIQUE,
    domain TEXT NOT NULL,
    -- The highest number that was cleared away: none is given out twice.
    cleared BIGINT NOT NULL,
    -- 1: the clock has once gone back, so that times do not follow the numbers.
    bent BIGINT NOT NULL
);
CREATE TABLE archive_bodies (
    place INTEGER NOT NULL PRIMARY KEY,
    xml BLOB NOT NULL
);
-- Grouped by owner, so that a page is read in one piece.
CREATE TABLE archive (
    owner BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    -- In the order of the log, over all owners.
    place BIGINT NOT NULL,
    body BIGINT NOT NULL,
    at BIGINT NOT NULL,
    -- The latest time of all messages up to this one.
    peak BIGINT NOT NULL,
    peer TEXT NOT NULL,
    device TEXT,
    sent BIGINT NOT NULL,
    id TEXT,
    PRIMARY KEY (owner, seq)
) WITHOUT ROWID;
CREATE INDEX archive_peers ON archive (owner, peer, seq);
CREATE INDEX archive_places ON archive (place);
CREATE INDEX archive_of_bodies ON archive (body);
-- Messages held for an absent account that are in its archive are held by their number there.
ALTER TABLE offline ADD COLUMN archived BIGINT;
-- SQLite:
CREATE VIRTUAL TABLE archive_words USING fts5 (
    words, content = '', contentless_delete = 1, detail = none, tokenize = "ascii tokenchars '_'"
);
-- PostgreSQL:
CREATE TABLE archive_words (rowid BIGINT NOT NULL PRIMARY KEY, words TEXT NOT NULL);
CREATE INDEX archive_lexemes ON archive_words USING gin (array_to_tsvector(string_to_array(words, ' ')));
