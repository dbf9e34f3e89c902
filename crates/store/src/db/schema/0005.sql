-- What was written lately stands in a list before it is in the index of words, and each search reads all of that list.
-- SQLite:
-- PostgreSQL:
ALTER INDEX archive_lexemes SET (gin_pending_list_limit = 64);
