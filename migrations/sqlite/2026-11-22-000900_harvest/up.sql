-- What was harvested from other catalogues. A source owns its rows: no other source writes them.
-- Times are microseconds since 1970-01-01T00:00:00Z. `missing` counts the complete walks in a row
-- that did not meet the dataset. `document` is the last good version, `report` says why a newer
-- one was refused.
CREATE TABLE harvest_dataset (
    source TEXT NOT NULL,
    iri TEXT NOT NULL,
    state TEXT NOT NULL,
    document TEXT NOT NULL,
    hash TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    missing INTEGER NOT NULL,
    report TEXT NOT NULL,
    PRIMARY KEY (source, iri)
);
CREATE INDEX harvest_dataset_state ON harvest_dataset (source, state, iri);
-- The names by which a dataset is known across catalogues (dct:identifier, adms:identifier, its
-- IRI): two datasets that share one are the same.
CREATE TABLE harvest_identifier (
    source TEXT NOT NULL,
    iri TEXT NOT NULL,
    identifier TEXT NOT NULL,
    PRIMARY KEY (source, iri, identifier)
);
CREATE INDEX harvest_identifier_identifier ON harvest_identifier (identifier);
-- The last answer of each address that had a validator, for conditional requests (RFC 9110
-- section 13).
CREATE TABLE harvest_page (
    source TEXT NOT NULL,
    url TEXT NOT NULL,
    etag TEXT NOT NULL,
    modified TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (source, url)
);
CREATE TABLE harvest_run (
    number BIGINT NOT NULL PRIMARY KEY,
    source TEXT NOT NULL,
    started BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    complete BOOLEAN NOT NULL,
    summary TEXT NOT NULL
);
CREATE INDEX harvest_run_source ON harvest_run (source, number);
INSERT INTO counter (name, value) VALUES ('harvest_run', 0);
