//! Vesalius turns a cancer imaging archive into a node of the European cancer imaging
//! infrastructure and of the European Health Data Space. `ARCHITECTURE.md` is the map.

pub mod actor;
pub mod app;
pub mod auth;
pub mod catalogue;
pub mod commands;
pub mod config;
pub mod dicom;
pub mod dicomweb;
pub mod error;
pub mod fhir;
pub mod harvest;
pub mod http;
pub mod imaging;
pub mod index;
pub mod ingest;
pub mod mapping;
pub mod node;
pub mod openapi;
pub mod sample;
pub mod schemas;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod web;
