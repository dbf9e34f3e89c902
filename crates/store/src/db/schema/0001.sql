-- Accounts, rosters, held messages, notes. BLOB and TEXT are spelled as the engine wants them (migrate.rs).
CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
);
CREATE TABLE log (
    -- One row: the last append that is in this database (PostgreSQL only).
    id BIGINT NOT NULL PRIMARY KEY,
    lsn BIGINT NOT NULL
);
CREATE TABLE accounts (
    account TEXT NOT NULL PRIMARY KEY,
    domain TEXT NOT NULL,
    created BIGINT NOT NULL,
    seen_at BIGINT,
    seen_status TEXT
);
CREATE INDEX accounts_of_domain ON accounts (domain, account);
CREATE TABLE account_keys (
    account TEXT NOT NULL,
    hash TEXT NOT NULL,
    salt BLOB NOT NULL,
    iterations BIGINT NOT NULL,
    stored_key BLOB NOT NULL,
    server_key BLOB NOT NULL,
    PRIMARY KEY (account, hash)
);
CREATE TABLE rosters (
    owner TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);
CREATE TABLE roster_items (
    owner TEXT NOT NULL,
    jid TEXT NOT NULL,
    name TEXT,
    groups TEXT,
    subscription TEXT NOT NULL,
    ask BIGINT NOT NULL,
    approved BIGINT NOT NULL,
    PRIMARY KEY (owner, jid)
);
CREATE TABLE offline (
    owner TEXT NOT NULL,
    id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    xml BLOB NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE TABLE offline_last (
    owner TEXT NOT NULL PRIMARY KEY,
    last_id BIGINT NOT NULL
);
CREATE TABLE letters (
    place BIGINT NOT NULL PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    recipient TEXT NOT NULL,
    xml BLOB NOT NULL
);
CREATE TABLE notes (
    owner TEXT NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (owner, topic, key)
);
INSERT INTO log (id, lsn) VALUES (1, 0);
