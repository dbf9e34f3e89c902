SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.account_keys (
    account text NOT NULL COLLATE pg_catalog."C",
    hash text NOT NULL COLLATE pg_catalog."C",
    salt bytea NOT NULL,
    iterations bigint NOT NULL,
    stored_key bytea NOT NULL,
    server_key bytea NOT NULL
);
CREATE TABLE public.accounts (
    account text NOT NULL COLLATE pg_catalog."C",
    domain text NOT NULL COLLATE pg_catalog."C",
    created bigint NOT NULL,
    seen_at bigint,
    seen_status text COLLATE pg_catalog."C"
);
CREATE TABLE public.letters (
    place bigint NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    recipient text NOT NULL COLLATE pg_catalog."C",
    xml bytea NOT NULL
);
CREATE TABLE public.log (
    id bigint NOT NULL,
    lsn bigint NOT NULL
);
CREATE TABLE public.meta (
    key text NOT NULL COLLATE pg_catalog."C",
    value bytea NOT NULL
);
CREATE TABLE public.notes (
    owner text NOT NULL COLLATE pg_catalog."C",
    topic text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    value bytea NOT NULL
);
CREATE TABLE public.offline (
    owner text NOT NULL COLLATE pg_catalog."C",
    id bigint NOT NULL,
    at bigint NOT NULL,
    xml bytea NOT NULL
);
CREATE TABLE public.offline_last (
    owner text NOT NULL COLLATE pg_catalog."C",
    last_id bigint NOT NULL
);
CREATE TABLE public.roster_items (
    owner text NOT NULL COLLATE pg_catalog."C",
    jid text NOT NULL COLLATE pg_catalog."C",
    name text COLLATE pg_catalog."C",
    groups text COLLATE pg_catalog."C",
    subscription text NOT NULL COLLATE pg_catalog."C",
    ask bigint NOT NULL,
    approved bigint NOT NULL
);
CREATE TABLE public.rosters (
    owner text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL
);
CREATE TABLE public.schema_version (
    version bigint NOT NULL
);
INSERT INTO public.account_keys VALUES ('alice@one.test', 'SCRAM-SHA-1', '\x01010101010101010101010101010101', 10000, '\x0202020202020202020202020202020202020202020202020202020202020202', '\x0303030303030303030303030303030303030303030303030303030303030303');
INSERT INTO public.account_keys VALUES ('alice@one.test', 'SCRAM-SHA-256', '\x05050505050505050505050505050505', 10000, '\x0606060606060606060606060606060606060606060606060606060606060606', '\x0707070707070707070707070707070707070707070707070707070707070707');
INSERT INTO public.account_keys VALUES ('empty@one.test', 'SCRAM-SHA-1', '\x01010101010101010101010101010101', 10000, '\x0202020202020202020202020202020202020202020202020202020202020202', '\x0303030303030303030303030303030303030303030303030303030303030303');
INSERT INTO public.account_keys VALUES ('empty@one.test', 'SCRAM-SHA-256', '\x05050505050505050505050505050505', 10000, '\x0606060606060606060606060606060606060606060606060606060606060606', '\x0707070707070707070707070707070707070707070707070707070707070707');
INSERT INTO public.accounts VALUES ('empty@one.test', 'one.test', 1700000000123456, NULL, NULL);
INSERT INTO public.accounts VALUES ('alice@one.test', 'one.test', 1700000000123456, 1750000000000001, 'bis bald, äh');
INSERT INTO public.letters VALUES (1, 'letter', 'alice@one.test', '\x3c70726573656e636520747970653d27737562736372696265272f3e');
INSERT INTO public.log VALUES (1, 1);
INSERT INTO public.meta VALUES ('secret', '\x2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a');
INSERT INTO public.notes VALUES ('alice@one.test', 'blocking', 'troll@three.test', '\x0001ff');
INSERT INTO public.offline VALUES ('alice@one.test', 2, 1800000000000002, '\x3c6d6573736167652069643d2732273eefbfbd3c2f6d6573736167653e');
INSERT INTO public.offline_last VALUES ('alice@one.test', 1);
INSERT INTO public.roster_items VALUES ('alice@one.test', 'bob@two.test', 'Bob 🐦', 'friendsСемья', 'both', 0, 1);
INSERT INTO public.rosters VALUES ('alice@one.test', 7);
INSERT INTO public.schema_version VALUES (1);
ALTER TABLE ONLY public.account_keys
    ADD CONSTRAINT account_keys_pkey PRIMARY KEY (account, hash);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (account);
ALTER TABLE ONLY public.letters
    ADD CONSTRAINT letters_key_key UNIQUE (key);
ALTER TABLE ONLY public.letters
    ADD CONSTRAINT letters_pkey PRIMARY KEY (place);
ALTER TABLE ONLY public.log
    ADD CONSTRAINT log_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.meta
    ADD CONSTRAINT meta_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.notes
    ADD CONSTRAINT notes_pkey PRIMARY KEY (owner, topic, key);
ALTER TABLE ONLY public.offline_last
    ADD CONSTRAINT offline_last_pkey PRIMARY KEY (owner);
ALTER TABLE ONLY public.offline
    ADD CONSTRAINT offline_pkey PRIMARY KEY (owner, id);
ALTER TABLE ONLY public.roster_items
    ADD CONSTRAINT roster_items_pkey PRIMARY KEY (owner, jid);
ALTER TABLE ONLY public.rosters
    ADD CONSTRAINT rosters_pkey PRIMARY KEY (owner);
CREATE INDEX accounts_of_domain ON public.accounts USING btree (domain, account);
