//! A study is sent without being held: measured on this process.

use std::fs::File;
use std::io::Write as _;

use actix_web::body::MessageBody as _;
use actix_web::dev::Service as _;
use actix_web::{App, HttpMessage as _, test};
use std::pin::Pin;
use vesalius::actor::{Actor, Role};
use vesalius::dicomweb::routes;

use super::{Server, image, place};

/// Resident memory of this process in KiB (Linux).
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A file with pixel data of so many MiB, which take no room on the disk.
fn large(path: &std::path::Path, instance: u32, mib: u32) {
    let mut head = image(1, 1, instance).to_part_10().unwrap();
    head.truncate(head.len() - 16);
    let length = mib << 20;
    let at = head.len() - 4;
    head[at..].copy_from_slice(&length.to_le_bytes());
    let mut file = File::create(path).unwrap();
    file.write_all(&head).unwrap();
    file.set_len(head.len() as u64 + u64::from(length)).unwrap();
}

#[actix_web::test]
async fn half_a_gigabyte_passes_through_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    for instance in 1..=5 {
        large(&folder.path().join(instance.to_string()), instance, 100);
    }
    let server = Server::of(folder.path());
    let app = test::init_service(
        App::new()
            .app_data(server.state.clone())
            .wrap_fn(|request, next| {
                request.extensions_mut().insert(Actor::new("t", Role::ImagingIt));
                next.call(request)
            })
            .configure(routes),
    )
    .await;
    let request = test::TestRequest::get().uri("/dicom-web/studies/1.2.1").to_request();
    let response = test::call_service(&app, request).await;
    let mut body = response.into_body();
    let (mut length, mut largest, mut most) = (0_u64, 0, 0);
    let before = resident();
    while let Some(chunk) =
        std::future::poll_fn(|context| Pin::new(&mut body).poll_next(context)).await
    {
        let chunk = chunk.map_err(|_| "broken").unwrap();
        length += chunk.len() as u64;
        largest = largest.max(chunk.len());
        most = most.max(resident().unwrap_or(0));
    }
    assert!(length > 500 << 20, "{length}");
    assert!(largest <= 256 * 1024, "{largest}");
    if let Some(before) = before {
        let grown = most.saturating_sub(before) / 1024;
        println!("{} MiB sent; resident memory grew by {grown} MiB", length >> 20);
        // Other tests of this binary run beside it.
        assert!(grown < 150, "{grown} MiB");
    }
    // A reader who goes away: what was not asked for is not read.
    let request = test::TestRequest::get()
        .uri(&format!("/dicom-web{}", place(1, 1, 1)))
        .insert_header(("Accept", "application/dicom"))
        .to_request();
    let mut body = test::call_service(&app, request).await.into_body();
    let first = std::future::poll_fn(|context| Pin::new(&mut body).poll_next(context)).await;
    assert!(first.is_some_and(|chunk| chunk.is_ok_and(|chunk| chunk.len() <= 256 * 1024)));
    drop(body);
}
