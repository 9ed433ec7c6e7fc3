//! Resources that are derived from studies when they are asked for: their orders and
//! examinations, and the persons and devices that they name.
//!
//! Nothing of them is stored. Orders, examinations and viewers have the id of their study with a
//! suffix; persons and devices an id made from what objects say of them, which the terms of the
//! index carry. So an actor sees of them what the visible studies tell, and nothing else.

mod agents;
mod of_study;

use actix_web::web::Bytes;

use super::Asking;
use super::outcome::Result;
use super::provider::{Entry, Page, Provider, Read, not_found};
use super::search::{Include, Place, Search};
use super::subset::Subset;
use super::table::Resource;
use crate::error::Error;
use crate::mapping::agent::Agent;
use crate::mapping::fhir::{
    AgentOf, View, agents_of_study, render_orders, render_procedure, render_viewer,
};
use crate::store::Db;
use crate::store::read;

/// The provider.
pub(super) struct Derived;

impl Provider for Derived {
    fn resources(&self) -> &[Resource] {
        &[
            Resource::ServiceRequest,
            Resource::Procedure,
            Resource::Practitioner,
            Resource::PractitionerRole,
            Resource::Device,
            Resource::Endpoint,
        ]
    }

    fn read(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        id: &str,
        subset: &Subset,
    ) -> Result<Read> {
        let state = asking.state;
        let (bytes, version, updated) = match resource {
            Resource::Practitioner | Resource::PractitionerRole | Resource::Device => {
                let found = agents::find(asking, resource, id);
                let found = found.ok_or_else(|| not_found(resource, id))?;
                (found.bytes, found.version, None)
            }
            _ => {
                let mut db = state.store.reader()?;
                let found = of_study::find(asking, &mut db, resource, id)?;
                let (bytes, study) = found.ok_or_else(|| not_found(resource, id))?;
                (bytes, study.version.to_string(), Some(study.updated))
            }
        };
        let row = state.table.row(resource);
        let bytes = subset.cut(row, &bytes).map_or(bytes, Bytes::from);
        Ok(Read { bytes, version: state.tag(asking, version), updated })
    }

    fn search(&self, asking: &Asking<'_>, search: &Search, after: Option<&Place>) -> Result<Page> {
        match search.resource {
            Resource::Practitioner | Resource::PractitionerRole | Resource::Device => {
                agents::search(asking, search, after)
            }
            _ => of_study::search(asking, search, after),
        }
    }
}

/// What a search of ImagingStudy includes of its studies, by the store's numbers.
pub(super) fn included(
    asking: &Asking<'_>,
    db: &mut Db,
    search: &Search,
    studies: &[i64],
) -> Result<Vec<Entry>> {
    use Resource::{
        Device, Endpoint, ImagingStudy, Practitioner, PractitionerRole, ServiceRequest,
    };
    let asks = |name: &str, target: Resource| {
        let brings = |include: &Include| include.brings(ImagingStudy, &[name], target);
        search.control.include.iter().any(brings)
    };
    let (has_orders, has_viewers) = (asks("basedon", ServiceRequest), asks("endpoint", Endpoint));
    // Each role of an agent, and the types that its references point at.
    let roles = [
        (AgentOf::Referrer, "referrer", Practitioner),
        (AgentOf::Interpreter, "interpreter", Practitioner),
        (AgentOf::Performer, "performer", PractitionerRole),
        (AgentOf::Performer, "performer", Device),
    ];
    let roles: Vec<_> = roles.into_iter().filter(|(_, name, of)| asks(name, *of)).collect();
    let has_any = has_orders || has_viewers || !roles.is_empty();
    if !has_any || studies.is_empty() {
        return Ok(Vec::new());
    }
    let state = asking.state;
    let context = &state.context;
    let mut included = Vec::new();
    let mut agents_asked: Vec<(Resource, String)> = Vec::new();
    let loaded = read::load_studies(db, studies, asking.ids(), false).map_err(Error::from)?;
    for study in &loaded {
        if has_orders {
            for (place, bytes) in render_orders(context, study, asking.view).into_iter().enumerate()
            {
                included.push(of_study::order_entry(study, place, bytes));
            }
        }
        if has_viewers
            && asking.view != View::Pseudonymous
            && let Some(bytes) = render_viewer(context, study)
        {
            included.push(of_study::viewer_entry(study, bytes));
        }
        if roles.is_empty() {
            continue;
        }
        for (of, agent) in agents_of_study(context, study) {
            let is_device = matches!(agent, Agent::Device(_));
            for (role, _, resource) in &roles {
                let one = (*resource, agent.id(context, asking.ids()));
                if *role == of && is_device == (*resource == Device) && !agents_asked.contains(&one)
                {
                    agents_asked.push(one);
                }
            }
        }
    }
    included.extend(agents::entries(asking, &agents_asked));
    Ok(included)
}

/// The order, examination or viewer that an include of another search of studies' resources
/// needs is rendered from the same study.
fn render(asking: &Asking<'_>, resource: Resource, study: &crate::imaging::Study) -> Vec<Vec<u8>> {
    let context = &asking.state.context;
    match resource {
        Resource::ServiceRequest => render_orders(context, study, asking.view),
        Resource::Procedure => vec![render_procedure(context, study, asking.view)],
        Resource::Endpoint if asking.view != View::Pseudonymous => {
            render_viewer(context, study).into_iter().collect()
        }
        _ => Vec::new(),
    }
}
