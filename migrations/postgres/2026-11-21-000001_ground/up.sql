-- The ground: what sources gave, what is known of it, and the change feed.
-- Times are microseconds since 1970-01-01T00:00:00Z. Keys hold the column by which rows could be
-- distributed; numbers come from `counter`, not from sequences, so that a change number is taken
-- in the transaction that makes the change and is seen in order.

CREATE TABLE counter (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counter (name, value) VALUES
    ('change', 0), ('patient', 0), ('study', 0), ('series', 0), ('image', 0), ('source', 0), ('run', 0);

CREATE TABLE change (
    seq BIGINT NOT NULL PRIMARY KEY,
    kind SMALLINT NOT NULL,
    number BIGINT NOT NULL
);

CREATE TABLE source (
    number BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    locator TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (kind, locator)
);

CREATE TABLE run (
    number BIGINT NOT NULL PRIMARY KEY,
    source BIGINT NOT NULL,
    started BIGINT NOT NULL,
    finished BIGINT,
    state TEXT NOT NULL,
    summary TEXT NOT NULL
);
CREATE INDEX run_source ON run (source, number);

CREATE TABLE input (
    source BIGINT NOT NULL,
    origin TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    mark BIGINT NOT NULL,
    state SMALLINT NOT NULL,
    inputs BIGINT NOT NULL,
    series BIGINT,
    sop TEXT,
    run BIGINT NOT NULL,
    code TEXT,
    path TEXT,
    place BIGINT,
    detail TEXT,
    PRIMARY KEY (source, origin)
);
CREATE INDEX input_quarantined ON input (source, origin) WHERE state = 1;
CREATE INDEX input_sop ON input (sop, source) WHERE sop IS NOT NULL;

CREATE TABLE patient (
    number BIGINT NOT NULL PRIMARY KEY,
    issuer TEXT NOT NULL,
    id TEXT NOT NULL,
    care_id TEXT NOT NULL,
    research_id TEXT NOT NULL,
    attributes TEXT NOT NULL,
    rank TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated BIGINT NOT NULL,
    deleted BOOLEAN NOT NULL,
    UNIQUE (issuer, id)
);
CREATE UNIQUE INDEX patient_care_id ON patient (care_id);
CREATE UNIQUE INDEX patient_research_id ON patient (research_id);

CREATE TABLE study (
    number BIGINT NOT NULL PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    patient BIGINT NOT NULL,
    source BIGINT NOT NULL,
    collection TEXT,
    care_id TEXT NOT NULL,
    research_id TEXT NOT NULL,
    attributes TEXT NOT NULL,
    rank TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated BIGINT NOT NULL,
    deleted BOOLEAN NOT NULL
);
CREATE INDEX study_patient ON study (patient);
CREATE UNIQUE INDEX study_care_id ON study (care_id);
CREATE UNIQUE INDEX study_research_id ON study (research_id);

CREATE TABLE series (
    number BIGINT NOT NULL PRIMARY KEY,
    study BIGINT NOT NULL,
    uid TEXT NOT NULL,
    patient BIGINT NOT NULL,
    attributes TEXT NOT NULL,
    study_attributes TEXT,
    rank TEXT NOT NULL,
    images INTEGER NOT NULL,
    bytes BIGINT NOT NULL,
    first_image BIGINT NOT NULL,
    image_block INTEGER NOT NULL,
    sop_classes TEXT NOT NULL,
    licence TEXT,
    source_doi TEXT,
    instances BYTEA,
    UNIQUE (uid, study)
);
CREATE INDEX series_study ON series (study);
CREATE INDEX series_patient ON series (patient);

CREATE TABLE instance (
    hash BIGINT NOT NULL,
    series BIGINT NOT NULL,
    PRIMARY KEY (hash, series)
);

CREATE TABLE lookup (
    kind SMALLINT NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (kind, value, number)
);
CREATE INDEX lookup_number ON lookup (number, kind);

CREATE TABLE finding (
    study BIGINT NOT NULL,
    code TEXT NOT NULL,
    attribute TEXT NOT NULL,
    value TEXT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (study, code, attribute)
);
