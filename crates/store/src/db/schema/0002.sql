-- Streams that can be resumed (XEP-0198 §5), and what each of them is owed.
CREATE TABLE sessions (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    state BLOB NOT NULL,
    handled BIGINT NOT NULL,
    acked BIGINT NOT NULL,
    over_at BIGINT,
    PRIMARY KEY (owner, key)
);
CREATE TABLE owed (
    owner TEXT NOT NULL,
    session TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    -- The keys of other sessions that have the stanza, too.
    shared TEXT NOT NULL,
    xml BLOB NOT NULL,
    PRIMARY KEY (owner, session, number)
);
-- A stanza that its sender's account has counted and is still seeing to: 1, any other letter: 0.
ALTER TABLE letters ADD COLUMN leaving BIGINT NOT NULL DEFAULT 0;
