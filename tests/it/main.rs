//! One integration binary, a folder for each room.

mod dicom;
