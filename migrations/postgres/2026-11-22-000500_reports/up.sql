-- What report instances say: structured reports with their content, key object selections,
-- encapsulated documents (never their bytes). A report belongs to an instance of a series; it goes
-- with it, and its number and ids stay, so that what was there answers as gone.
CREATE TABLE report (
    number BIGINT NOT NULL PRIMARY KEY,
    study BIGINT NOT NULL,
    series BIGINT NOT NULL,
    uid TEXT COLLATE "C" NOT NULL UNIQUE,
    sop_class TEXT NOT NULL,
    care_id TEXT NOT NULL,
    research_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated BIGINT NOT NULL,
    deleted BOOLEAN NOT NULL,
    content BYTEA
);
CREATE UNIQUE INDEX report_care_id ON report (care_id);
CREATE UNIQUE INDEX report_research_id ON report (research_id);
CREATE INDEX report_study ON report (study);
CREATE INDEX report_series ON report (series);
INSERT INTO counter (name, value) VALUES ('report', 0);
