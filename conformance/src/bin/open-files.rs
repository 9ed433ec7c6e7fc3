//! The comparator of `bench/folder.sh`: one thread that opens every file below a folder with
//! dicom-object, up to the pixel data, and does nothing with it.
#![allow(clippy::print_stdout, reason = "its output is its result")]

use std::path::Path;

use dicom_object::OpenFileOptions;

fn open(folder: &Path, read: &mut u64, failed: &mut u64) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            open(&path, read, failed)?;
            continue;
        }
        // (7FE0,0010) Pixel Data.
        let opened = OpenFileOptions::new()
            .read_until(dicom_object::Tag(0x7FE0, 0x0010))
            .open_file(&path)
            .map(std::hint::black_box);
        *if opened.is_ok() { &mut *read } else { &mut *failed } += 1;
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let (mut read, mut failed) = (0, 0);
    for folder in std::env::args().skip(1) {
        open(Path::new(&folder), &mut read, &mut failed)?;
    }
    println!("{read} opened, {failed} not");
    Ok(())
}
