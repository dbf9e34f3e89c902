-- Clients that have logged in to an account (XEP-0388 §2.3, XEP-0494), each with the tokens that it may use (XEP-0484):
-- the one that it uses, and its successor until that has been used.
CREATE TABLE clients (
    account TEXT NOT NULL,
    client TEXT NOT NULL,
    handle TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    software TEXT,
    device TEXT,
    by_password BIGINT NOT NULL,
    by_certificate BIGINT NOT NULL,
    current_seed TEXT,
    current_mechanism TEXT,
    current_expires BIGINT,
    current_count BIGINT,
    next_seed TEXT,
    next_mechanism TEXT,
    next_expires BIGINT,
    next_count BIGINT,
    PRIMARY KEY (account, client)
);
