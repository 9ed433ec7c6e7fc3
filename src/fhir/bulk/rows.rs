//! Studies and patients of an export, straight from their rows: rendered by some threads side by
//! side, past the cache, which belongs to care. Whole studies are kept for the next export
//! ([`super::kept`]), which renders only what changed since.

use std::borrow::Cow;

use roaring::RoaringBitmap;
use serde_json::Value;

use super::kept::{self, Lines};
use super::order::TypeOrder;
use super::write::{Halt, LONGEST_FILE, Writer, lower};
use crate::error::Error;
use crate::fhir::cache::Shape;
use crate::fhir::search::{Search, patients, studies};
use crate::fhir::subset::Subset;
use crate::fhir::table::Resource;
use crate::fhir::{Asking, State};
use crate::index::Sort;
use crate::mapping::fhir::{View, render_patient, render_study};
use crate::store::read;

/// Studies and patients that a thread renders at once.
const ROWS: usize = 64;

/// Resources as lines, with the store's number and the length of each.
#[derive(Default)]
struct Rendered {
    bytes: Vec<u8>,
    lines: Vec<(i64, usize)>,
}

impl Rendered {
    fn put(&mut self, number: i64, resource: &[u8]) -> Result<(), Halt> {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&one_line(resource)?);
        self.bytes.push(b'\n');
        self.lines.push((number, self.bytes.len() - before));
        Ok(())
    }

    fn iter(&self) -> impl Iterator<Item = (i64, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.lines.iter().map(move |(number, length)| {
            let (line, after) = rest.split_at_checked(*length).unwrap_or((rest, &[]));
            rest = after;
            (*number, line)
        })
    }
}

/// A resource without line ends. What a client wrote may hold some, which a line cannot.
pub(super) fn one_line(resource: &[u8]) -> Result<Cow<'_, [u8]>, Halt> {
    if !resource.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Ok(resource.into());
    }
    let value: Value = serde_json::from_slice(resource)
        .map_err(|failure| Error::Internal(format!("no JSON: {failure}")))?;
    Ok(value.to_string().into_bytes().into())
}

/// What of a type is rendered.
struct Part<'a> {
    asking: &'a Asking<'a>,
    resource: Resource,
    subset: Subset,
}

impl State {
    /// Patients and studies, straight from their rows.
    pub(super) fn export_rows(
        &self,
        asking: &Asking<'_>,
        of: &TypeOrder,
        resource: Resource,
        searches: &[Search],
        writer: &mut Writer<'_>,
    ) -> Result<(), Halt> {
        let mut hits = RoaringBitmap::new();
        {
            let mut db = self.store.reader()?;
            for search in searches {
                hits |= if resource == Resource::Patient {
                    patients::search(asking, &mut db, &search.criteria)?
                } else {
                    let conditions = studies::conditions(&search.criteria);
                    let query = studies::query(asking, &mut db, &search.criteria, &conditions)?;
                    self.index.read().search(asking.actor, &query)
                };
            }
        }
        let numbers: Vec<i64> = if resource == Resource::Patient {
            hits.iter().map(i64::from).collect()
        } else {
            self.index.read().page(&hits, Sort::Arrival, None, usize::MAX)
        };
        let subset = match of.elements.as_slice() {
            [] => Subset::Whole,
            names => Subset::Elements(names.to_vec()),
        };
        let part = Part { asking, resource, subset };
        if part.resource == Resource::ImagingStudy
            && part.subset == Subset::Whole
            && self.export_kept(&part, &numbers, writer)?
        {
            return Ok(());
        }
        let total = numbers.len() as u64;
        self.render_lines(&part, &numbers, |rendered, done| {
            for (_, line) in rendered.iter() {
                writer.line(line)?;
            }
            writer.look(resource, done, total)
        })
    }

    /// Whole studies: copies what earlier exports rendered and what did not change since. `false`:
    /// there is no room to keep them, and nothing was written.
    fn export_kept(
        &self,
        part: &Part<'_>,
        numbers: &[i64],
        writer: &mut Writer<'_>,
    ) -> Result<bool, Halt> {
        let name = match part.asking.view {
            View::Care => "care",
            View::DeIdentified => "de-identified",
            View::Pseudonymous => "pseudonymous",
        };
        let desk = writer.desk;
        let before = kept::bytes(desk.folder());
        let mut lines = Lines::open(desk.folder(), name, self.context.rendering_fingerprint())?;
        lines.refresh(&mut self.store.reader()?)?;
        desk.release_kept(before.saturating_sub(kept::bytes(desk.folder())));
        let missing = lines.missing(numbers);
        let known = numbers.len() - missing.len();
        let mut has_room = true;
        if !missing.is_empty() {
            let total = numbers.len() as u64;
            let rendered = self.render_lines(part, &missing, |rendered, done| {
                if !desk.reserve_kept(rendered.bytes.len() as u64) {
                    has_room = false;
                    return Err(Halt::Stopped);
                }
                for (number, line) in rendered.iter() {
                    lines.put(number, line)?;
                }
                writer.look(part.resource, known + done, total)
            });
            match rendered {
                Err(_) if !has_room => {
                    desk.forget_kept();
                    return Ok(false);
                }
                // What is there already need not be rendered again by the next.
                Err(halt) => {
                    lines.save()?;
                    return Err(halt);
                }
                Ok(()) => {}
            }
        }
        lines.save()?;
        for run in lines.runs(numbers, LONGEST_FILE) {
            writer.look(part.resource, numbers.len(), numbers.len() as u64)?;
            writer.run(&mut lines, run)?;
        }
        Ok(true)
    }

    /// Renders some at a time on each of the machine's cores, and gives them in order; `done`
    /// tells how many were given.
    fn render_lines(
        &self,
        part: &Part<'_>,
        numbers: &[i64],
        mut give: impl FnMut(&Rendered, usize) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut done = 0;
        for numbers in numbers.chunks(ROWS * cores) {
            let rendered: Vec<Result<Rendered, Halt>> = std::thread::scope(|scope| {
                let mut pieces = numbers.chunks(ROWS);
                let own = pieces.next().unwrap_or_default();
                let others: Vec<_> = pieces
                    .map(|piece| {
                        scope.spawn(move || {
                            lower();
                            self.render_piece(part, piece)
                        })
                    })
                    .collect();
                let own = self.render_piece(part, own);
                let others = others.into_iter().map(|thread| {
                    let panicked = |_| Err(Halt::Failed("a resource could not be made".to_owned()));
                    thread.join().unwrap_or_else(panicked)
                });
                std::iter::once(own).chain(others).collect()
            });
            for rendered in rendered {
                let rendered = rendered?;
                done += rendered.lines.len();
                give(&rendered, done)?;
            }
        }
        Ok(())
    }

    fn render_piece(&self, part: &Part<'_>, numbers: &[i64]) -> Result<Rendered, Halt> {
        let Part { asking, resource, subset } = part;
        let row = self.table.row(*resource);
        let has_instances = subset.shape() == Shape::Whole;
        let mut db = self.store.reader()?;
        let mut rendered = Rendered::default();
        let mut put = |number: i64, bytes: &[u8]| match subset.cut(row, bytes) {
            Some(cut) => rendered.put(number, &cut),
            None => rendered.put(number, bytes),
        };
        if *resource == Resource::Patient {
            for patient in asking.patients(&mut db, numbers)? {
                put(patient.number, &render_patient(&self.context, &patient, asking.view))?;
            }
            return Ok(rendered);
        }
        let loaded = read::load_studies(&mut db, numbers, asking.ids(), has_instances);
        for study in loaded.map_err(Error::from)? {
            let bare = render_study(&self.context, &study, asking.view);
            if has_instances && study.series.iter().any(|series| !series.instances.is_empty()) {
                put(study.number, &bare.with_instances(&self.context, &study, asking.view))?;
            } else {
                put(study.number, &bare.bytes)?;
            }
        }
        Ok(rendered)
    }
}
