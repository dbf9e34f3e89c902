-- A text that one archive has is at the place of its message; only another that shares it need be found.
DROP INDEX archive_of_bodies;
CREATE INDEX archive_sharing ON archive (body) WHERE body <> place;
