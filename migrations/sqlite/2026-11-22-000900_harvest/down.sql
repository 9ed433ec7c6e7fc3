DROP TABLE harvest_run;
DROP TABLE harvest_page;
DROP TABLE harvest_identifier;
DROP TABLE harvest_dataset;
DELETE FROM counter WHERE name = 'harvest_run';
