//! DICOMweb in process: a folder of synthetic files, a PACS played by wiremock.

mod files;
mod memory;
mod pacs;
mod search;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use actix_web::dev::Service as _;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::{App, HttpMessage as _, test, web};
use serde_json::Value;
use vesalius::actor::{Actor, Role};
use vesalius::config::{Config, Identity};
use vesalius::dicom::write::DataSet;
use vesalius::dicomweb::{State, routes};
use vesalius::index::{Criteria, Index};
use vesalius::ingest::{Ingest, ingest};
use vesalius::mapping::Context;
use vesalius::source::Source;
use vesalius::source::dicomweb::Credentials;
use vesalius::source::folder::Folder;
use vesalius::store::Store;

/// A server over a store of its own.
struct Server {
    _data: tempfile::TempDir,
    store: Store,
    index: Arc<Index>,
    context: Context,
    state: web::Data<State>,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    /// `None`: the body broke off.
    bytes: Option<Vec<u8>>,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.as_deref().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(self.bytes())
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(self.bytes())))
    }

    /// The parts of a multipart: headers and bytes.
    fn parts(&self) -> Vec<(String, Vec<u8>)> {
        let boundary = self.header("content-type").split("boundary=").nth(1).unwrap().to_owned();
        let body = self.bytes();
        let delimiter = format!("--{boundary}");
        let find = |from: usize, what: &[u8]| {
            body[from..].windows(what.len()).position(|window| window == what).map(|at| from + at)
        };
        let mut parts = Vec::new();
        let mut at = find(0, delimiter.as_bytes()).unwrap() + delimiter.len();
        while !body[at..].starts_with(b"--") {
            let head = find(at, b"\r\n\r\n").unwrap();
            let end = find(head, format!("\r\n{delimiter}").as_bytes()).unwrap();
            let text = String::from_utf8(body[at..head].to_vec()).unwrap();
            parts.push((text, body[head + 4..end].to_vec()));
            at = end + 2 + delimiter.len();
        }
        parts
    }
}

impl Server {
    fn new(identity: Identity, credentials: &Credentials) -> Self {
        let mut config = Config::default();
        config.server.public_url = "https://imaging.example".to_owned();
        config.archive.identity = identity;
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path(), "").unwrap();
        let context = Context::new(&config, b"a key of tests").unwrap();
        let index = Arc::new(Index::open(None, context.clone()));
        let made = State::new(&config, store.clone(), Arc::clone(&index), &context, credentials);
        let state = web::Data::new(made.unwrap());
        Self { _data: data, store, index, context, state }
    }

    /// A server of the files of a folder.
    fn of(folder: &Path) -> Self {
        let server = Self::new(Identity::Identified, &Credentials::None);
        server.ingest(&mut Folder::in_process(folder).unwrap());
        server
    }

    fn ingest(&self, source: &mut dyn Source) {
        let how = Ingest {
            name: String::new(),
            context: self.context.clone(),
            pseudonym_key: b"a key of tests".to_vec(),
            batch: 500,
            prune: false,
        };
        let stop = AtomicBool::new(false);
        let now = || 1_763_000_000_000_000;
        ingest(&self.store, source, &how, &now, &stop, &mut |_| ()).unwrap();
        self.index.catch_up(&self.store).unwrap();
    }

    fn open(&self, criteria: Vec<Criteria>) {
        self.index.set_open(criteria);
    }

    async fn send(&self, actor: Option<Actor>, request: test::TestRequest) -> Reply {
        let app = test::init_service(
            App::new()
                .app_data(self.state.clone())
                .wrap_fn(move |request, next| {
                    if let Some(actor) = actor.clone() {
                        request.extensions_mut().insert(actor);
                    }
                    next.call(request)
                })
                .configure(routes),
        )
        .await;
        let response = test::call_service(&app, request.to_request()).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = test::try_read_body(response).await.ok().map(|bytes| bytes.to_vec());
        Reply { status, headers, bytes }
    }

    /// As imaging IT.
    async fn get(&self, path: &str) -> Reply {
        self.get_as(Role::ImagingIt, path, &[]).await
    }

    async fn accepting(&self, accept: &str, path: &str) -> Reply {
        self.get_as(Role::ImagingIt, path, &[("Accept", accept)]).await
    }

    async fn get_as(&self, role: Role, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = test::TestRequest::get().uri(&format!("/dicom-web{path}"));
        for header in headers {
            request = request.insert_header(*header);
        }
        self.send(Some(Actor::new("tester", role)), request).await
    }
}

/// Where the instance of [`image`] is.
fn place(study: u32, series: u32, instance: u32) -> String {
    format!(
        "/studies/1.2.{study}/series/1.2.{study}.{series}/instances/1.2.{study}.{series}.{instance}"
    )
}

/// A synthetic CT of 4 × 2 pixels: instance `instance` of series `series` of study `study`.
fn image(study: u32, series: u32, instance: u32) -> DataSet {
    let pixels: Vec<u8> = (0..8_u16).flat_map(|at| (at * 100).to_le_bytes()).collect();
    let code = DataSet::new().text("CodeValue", "169069000").text("CodingSchemeDesignator", "SCT");
    DataSet::new()
        .charset("ISO_IR 100")
        .text("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2")
        .text("SOPInstanceUID", &format!("1.2.{study}.{series}.{instance}"))
        .text("StudyInstanceUID", &format!("1.2.{study}"))
        .text("SeriesInstanceUID", &format!("1.2.{study}.{series}"))
        .text("StudyDate", &format!("202401{study:02}"))
        .text("StudyTime", "101500")
        .text("AccessionNumber", &format!("A{study}"))
        .text("Modality", if series == 1 { "CT" } else { "MR" })
        .text("PatientName", &format!("Synthétique^P{}", study % 3))
        .text("PatientID", &format!("P{}", study % 3))
        .text("PatientSex", if study == 2 { "F" } else { "M" })
        .text("StudyID", &study.to_string())
        .item("ProcedureCodeSequence", code)
        .number("SeriesNumber", f64::from(series))
        .number("InstanceNumber", f64::from(instance))
        .number("SamplesPerPixel", 1.0)
        .text("PhotometricInterpretation", "MONOCHROME2")
        .number("Rows", 2.0)
        .number("Columns", 4.0)
        .number("BitsAllocated", 16.0)
        .number("BitsStored", 16.0)
        .number("HighBit", 15.0)
        .bytes("PixelRepresentation", &[0, 0])
        .bytes("PixelData", &pixels)
}

/// Three studies of two series of two instances; each file by its place.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for study in 1..=3 {
        for series in 1..=2 {
            for instance in 1..=2 {
                let path = folder.path().join(format!("{study}-{series}-{instance}.dcm"));
                std::fs::write(path, image(study, series, instance).to_part_10().unwrap()).unwrap();
            }
        }
    }
    folder
}
