//! Studies and patients of an export, straight from their rows: rendered by some threads side by
//! side, past the cache, which belongs to care. Whole studies are copied from the lines that are
//! kept ([`super::kept`]); only what changed since is rendered.

use std::borrow::Cow;

use roaring::RoaringBitmap;
use serde_json::Value;

use super::desk::Desk;
use super::kept::{self, Lines};
use super::order::TypeOrder;
use super::write::{Halt, Writer, lower};
use crate::error::Error;
use crate::fhir::cache::Shape;
use crate::fhir::search::{Search, patients, studies};
use crate::fhir::subset::Subset;
use crate::fhir::table::Resource;
use crate::fhir::{Asking, State};
use crate::index::Sort;
use crate::mapping::fhir::{Renderer, View, render_patient};
use crate::store::read;

/// Studies and patients that a thread renders at once.
const ROWS: usize = 64;
/// Pieces of so many that a thread may be ahead of who writes them.
const AHEAD: usize = 4;

/// The machine's cores.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Resources as lines, with the store's number and the length of each.
#[derive(Default)]
pub(super) struct Rendered {
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

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, &[u8])> {
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
pub(super) struct Part<'a> {
    pub(super) asking: &'a Asking<'a>,
    pub(super) resource: Resource,
    pub(super) subset: Subset,
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
        self.render_lines(&part, &numbers, cores(), |rendered, done| {
            for (_, line) in rendered.iter() {
                writer.lines(line, 1)?;
            }
            writer.look(resource, done, total)
        })
    }

    /// The kept lines of a rendering, without those of what changed. `None`: another process has
    /// them open.
    pub(super) fn open_lines(&self, desk: &Desk, view: View) -> Result<Option<Lines>, Error> {
        let failed = |failure: std::io::Error| {
            Error::Internal(format!("lines cannot be kept for exports: {failure}"))
        };
        let rules = self.context.rendering_fingerprint();
        let Some(mut lines) =
            Lines::open(desk.folder(), kept::name(view), rules).map_err(failed)?
        else {
            tracing::warn!(folder = %desk.folder().display(), "another process keeps lines here");
            return Ok(None);
        };
        lines.refresh(&mut self.store.reader()?)?;
        desk.count_kept();
        Ok(Some(lines))
    }

    /// Whole studies: copies the lines that are kept, and adds those that are missing. `false`:
    /// there is no room to keep them, and nothing was written.
    fn export_kept(
        &self,
        part: &Part<'_>,
        numbers: &[i64],
        writer: &mut Writer<'_>,
    ) -> Result<bool, Halt> {
        let desk = writer.desk;
        let Some(mut lines) = self.open_lines(desk, part.asking.view)? else { return Ok(false) };
        let total = numbers.len() as u64;
        let missing = lines.missing(numbers);
        let known = numbers.len() - missing.len();
        if !missing.is_empty() {
            let mut has_room = true;
            let rendered = self.render_lines(part, &missing, cores(), |rendered, done| {
                if !desk.reserve_kept(rendered.len() as u64) {
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
        let damaged = lines.copy(numbers, |bytes, count| {
            writer.look(part.resource, numbers.len(), total)?;
            writer.lines(bytes, count)
        })?;
        if !damaged.is_empty() {
            tracing::warn!(count = damaged.len(), "damaged lines of exports are made again");
            self.render_lines(part, &damaged, cores(), |rendered, _| {
                for (number, line) in rendered.iter() {
                    lines.put(number, line)?;
                    writer.lines(line, 1)?;
                }
                writer.look(part.resource, numbers.len(), total)
            })?;
            lines.save()?;
        }
        Ok(true)
    }

    /// Renders on so many threads, and gives the lines in the order of the numbers; `done` tells
    /// how many were given. Each thread is a few pieces ahead at the most.
    pub(super) fn render_lines(
        &self,
        part: &Part<'_>,
        numbers: &[i64],
        threads: usize,
        mut give: impl FnMut(&Rendered, usize) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let mut done = 0;
        let mut give = |rendered: Rendered| {
            done += rendered.lines.len();
            give(&rendered, done)
        };
        if threads < 2 || numbers.len() <= ROWS {
            let mut renderer = Renderer::new(&self.context, part.asking.view);
            return numbers
                .chunks(ROWS)
                .try_for_each(|piece| give(self.render_piece(part, piece, &mut renderer)?));
        }
        let panicked = || Halt::Failed("a resource could not be made".to_owned());
        std::thread::scope(|scope| {
            let (threads, mut ends): (Vec<_>, Vec<_>) = (0..threads)
                .map(|first| {
                    let (send, receive) = std::sync::mpsc::sync_channel(AHEAD);
                    let thread = scope.spawn(move || {
                        lower();
                        let mut renderer = Renderer::new(&self.context, part.asking.view);
                        for piece in numbers.chunks(ROWS).skip(first).step_by(threads) {
                            if send.send(self.render_piece(part, piece, &mut renderer)).is_err() {
                                break;
                            }
                        }
                    });
                    (thread, receive)
                })
                .unzip();
            let turns = 0..numbers.chunks(ROWS).len();
            let given = turns.zip((0..threads.len()).cycle()).try_for_each(|(_, thread)| {
                let end = ends.get(thread).ok_or_else(panicked)?;
                give(end.recv().map_err(|_| panicked())??)
            });
            // Whoever waits to send ends.
            ends.clear();
            let is_whole = threads.into_iter().map(|thread| thread.join().is_ok());
            if is_whole.fold(true, |all, one| all & one) { given } else { Err(panicked()) }
        })
    }

    fn render_piece(
        &self,
        part: &Part<'_>,
        numbers: &[i64],
        renderer: &mut Renderer<'_>,
    ) -> Result<Rendered, Halt> {
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
            let loaded = read::load_patients(&mut db, numbers, asking.ids());
            for patient in loaded.map_err(Error::from)? {
                put(patient.number, &render_patient(&self.context, &patient, asking.view))?;
            }
            return Ok(rendered);
        }
        let loaded = read::load_studies(&mut db, numbers, asking.ids(), has_instances);
        for study in loaded.map_err(Error::from)? {
            let bare = renderer.render(&study);
            if has_instances && study.series.iter().any(|series| !series.instances.is_empty()) {
                put(study.number, &bare.with_instances(&self.context, &study, asking.view))?;
            } else {
                put(study.number, &bare.bytes)?;
            }
        }
        Ok(rendered)
    }
}
