-- What people publish (XEP-0060, XEP-0163): nodes, each with its configuration and affiliations, and their items.
CREATE TABLE nodes (
    owner TEXT NOT NULL,
    node TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (owner, node)
);
CREATE TABLE node_items (
    owner TEXT NOT NULL,
    node TEXT NOT NULL,
    id TEXT NOT NULL,
    -- In the order of publication, over all nodes of the owner.
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    xml BLOB NOT NULL,
    PRIMARY KEY (owner, node, id)
);
-- How much there is, and in which order, is seen without looking at items.
CREATE INDEX node_items_in_order ON node_items (owner, node, seq, bytes, id);
-- What clients can do, by the hash that they tell (XEP-0115); of it, the nodes whose news they want.
CREATE TABLE capabilities (
    hash TEXT NOT NULL,
    ver TEXT NOT NULL,
    at BIGINT NOT NULL,
    wants TEXT NOT NULL,
    PRIMARY KEY (hash, ver)
);
CREATE INDEX capabilities_by_age ON capabilities (at);
