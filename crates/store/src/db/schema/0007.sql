-- SQLite:
-- What has been committed and is not in its tables yet: statements of a group and their values, in the order of groups.
CREATE TABLE journal (
    number INTEGER NOT NULL PRIMARY KEY,
    writes BLOB NOT NULL
);
-- The texts of these statements, so that whatever was written by an older server can be carried out by a newer one.
CREATE TABLE journal_statements (
    id INTEGER NOT NULL PRIMARY KEY,
    text TEXT NOT NULL
);
-- PostgreSQL:
