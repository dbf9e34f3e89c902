-- Of clients also what they are (XEP-0030), by the hash that they tell: they are asked anew.
DELETE FROM capabilities;
ALTER TABLE capabilities ADD COLUMN identities TEXT NOT NULL DEFAULT '';
