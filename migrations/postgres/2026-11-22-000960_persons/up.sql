-- What each series says of who its patient is (birth date, name and sex, as JSON): one PatientID that
-- stands for two persons is found by it. And how much the findings count to together, so that
-- `verify` sees when some are lost.
ALTER TABLE series ADD COLUMN person TEXT;
INSERT INTO counter (name, value) SELECT 'finding', COALESCE(CAST(SUM(count) AS BIGINT), 0) FROM finding;
