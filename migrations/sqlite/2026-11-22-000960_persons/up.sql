-- What each series says of who its patient is (birth date, name and sex, as JSON): one PatientID that
-- stands for two persons is found by it. And how much the findings count to together, so that
-- `verify` sees when some are lost.
-- The table is made anew because SQLite reads what stands behind a large value through all of it.
CREATE TABLE series_with_person (
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
    person TEXT,
    instances BLOB,
    UNIQUE (uid, study)
);
INSERT INTO series_with_person (number, study, uid, patient, attributes, study_attributes, rank, images, bytes, first_image, image_block, sop_classes, licence, source_doi, instances)
SELECT number, study, uid, patient, attributes, study_attributes, rank, images, bytes, first_image, image_block, sop_classes, licence, source_doi, instances FROM series;
DROP TABLE series;
ALTER TABLE series_with_person RENAME TO series;
CREATE INDEX series_study ON series (study);
CREATE INDEX series_patient ON series (patient);
INSERT INTO counter (name, value) SELECT 'finding', COALESCE(SUM(count), 0) FROM finding;
