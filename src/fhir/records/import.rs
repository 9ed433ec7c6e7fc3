//! Resources that come from a clinical table (`vesalius ingest table`): checked and kept as if a
//! client had put each of them, a row wholly or not at all, and only where something is new.

use serde_json::Value as Json;

use super::super::outcome::Failure;
use super::super::outcome::Result as Answer;
use super::super::table::Resource;
use super::super::validate::validate;
use super::super::{Asking, State};
use super::write::{Act, Conditions, Incoming, Target};
use crate::actor::{Actor, Role};
use crate::error::{Error, Result};
use crate::mapping::clinical::{Kept, Writer};
use crate::mapping::fhir::View;
use crate::store::Db;
use crate::store::records as rows;

/// Keeps what a table gives in the store of the facade.
pub struct Importer<'s> {
    state: &'s State,
    actor: Actor,
    /// Microseconds since 1970-01-01T00:00:00Z.
    now: i64,
}

impl std::fmt::Debug for Importer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Importer").field("actor", &self.actor).finish_non_exhaustive()
    }
}

impl State {
    /// What keeps the rows of a table; `source` stands in the versions as their author.
    #[must_use]
    pub fn importer(&self, source: &str, now: i64) -> Importer<'_> {
        let actor = Actor::new(source, Role::ImagingIt).with_scopes("system/*.cu");
        Importer { state: self, actor, now }
    }
}

impl Writer for Importer<'_> {
    fn check(&self, resource: &Json) -> Vec<String> {
        let report = validate(resource, &[]);
        let said =
            report.errors().map(|issue| format!("{}: {}", issue.expression, issue.diagnostics));
        said.take(3).collect()
    }

    fn put(&mut self, batch: &[Vec<Json>]) -> Result<Vec<Result<Kept, String>>> {
        let asking =
            Asking { state: self.state, actor: &self.actor, view: View::Care, now: self.now };
        // What is wrong with a row is known before the transaction begins.
        let ready: Vec<Answer<Vec<Incoming>>> = batch
            .iter()
            .map(|row| row.iter().map(|resource| self.state.taken(resource)).collect())
            .collect();
        let kept = self.state.alone(|db| {
            ready
                .into_iter()
                .map(|row| match row {
                    Err(failure) => Ok(Err(failure.words())),
                    Ok(row) => self.state.keep(&asking, db, row).map(Ok),
                })
                .collect()
        });
        kept.map_err(|failure: Failure| Error::Internal(failure.words()))
    }

    fn standing(&self, prefix: &str) -> Result<Vec<String>> {
        self.state.store.read(|db| rows::list_begun(db, prefix))
    }
}

impl State {
    fn taken(&self, resource: &Json) -> Answer<Incoming> {
        let name = resource["resourceType"].as_str().unwrap_or_default();
        let kind = Resource::parse(name)
            .ok_or_else(|| Failure::unreadable(&format!("`{name}` is not kept here")))?;
        self.incoming(kind, resource.to_string().as_bytes())
    }

    pub(super) fn keep(
        &self,
        asking: &Asking<'_>,
        db: &mut Db,
        row: Vec<Incoming>,
    ) -> Answer<Kept> {
        let mut kept = Kept::default();
        for incoming in row {
            let id = incoming.json["id"].as_str().unwrap_or_default().to_owned();
            let before = rows::find(db, incoming.resource.name(), &id).map_err(Error::from)?;
            let before = before.filter(|head| !head.is_deleted);
            if let Some(head) = &before {
                let body = rows::body(db, head.number, head.version).map_err(Error::from)?;
                if body.is_some_and(|body| is_same(&body, &incoming.json)) {
                    kept.unchanged += 1;
                    continue;
                }
            }
            let conditions = Conditions::default();
            let act = Act::Update { target: Target::Id(id), incoming, conditions };
            let plan = self.plan(asking, db, act)?;
            self.apply(asking, db, plan)?;
            if before.is_some() { kept.changed += 1 } else { kept.created += 1 }
        }
        Ok(kept)
    }
}

/// Whether a stored version says what came, but for what the server writes itself.
fn is_same(stored: &[u8], came: &Json) -> bool {
    let Ok(stored) = serde_json::from_slice::<Json>(stored) else { return false };
    without_head(stored) == without_head(came.clone())
}

fn without_head(mut json: Json) -> Json {
    if let Some(meta) = json.get_mut("meta").and_then(Json::as_object_mut) {
        meta.remove("versionId");
        meta.remove("lastUpdated");
        if meta.is_empty()
            && let Some(object) = json.as_object_mut()
        {
            object.remove("meta");
        }
    }
    json
}
