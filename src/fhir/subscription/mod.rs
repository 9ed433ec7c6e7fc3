//! Subscriptions to changes (FHIR R4 Subscription, channel `rest-hook`).
//!
//! In: a resource Subscription of the role `imaging-it`, and the change feed. Out: a request to the
//! subscriber's address for each new or changed resource that answers the criteria, at least once,
//! in the order of the feed. Criteria are searches that are asked of the index; how far the feed
//! was followed is a row, so that nothing is lost while a receiver or this server is away.
//! Governed by FHIR R4 4.0.1 (subscription.html, code system subscription-channel-type).
//! Absent: the channels websocket, email, sms and message; topics of R5; notices of deletions.

mod address;
mod courier;
mod routes;
mod wanted;

pub(super) use routes::routes;

use serde_json::{Value, json};

use crate::store::subscriptions::SubscriptionRow;

/// The status that a client asks for.
const REQUESTED: &str = "requested";
/// Notices are sent.
const ACTIVE: &str = "active";
/// The last attempt failed, and there will be others.
const ERROR: &str = "error";
/// It is over.
const OFF: &str = "off";

/// The resource as `reader` sees it: what the headers of another subscriber hold may be a secret.
fn resource_of(row: &SubscriptionRow, reader: &str) -> Value {
    let mut resource: Value = serde_json::from_str(&row.body).unwrap_or_default();
    let updated = jiff::Timestamp::from_microsecond(row.updated);
    let updated = updated.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    resource["id"] = row.id.as_str().into();
    resource["meta"] = json!({
        "versionId": row.version.to_string(),
        "lastUpdated": format!("{updated:.3}"),
    });
    resource["status"] = row.status.as_str().into();
    match (&row.error, resource.as_object_mut()) {
        (Some(error), Some(object)) => {
            object.insert("error".to_owned(), error.as_str().into());
        }
        (None, Some(object)) => {
            object.remove("error");
        }
        (_, None) => {}
    }
    if row.subject != reader
        && let Some(headers) = resource["channel"]["header"].as_array_mut()
    {
        for header in headers {
            let name = header.as_str().and_then(|text| text.split_once(':'));
            let name = name.map_or("…", |(name, _)| name).to_owned();
            *header = format!("{name}: …").into();
        }
    }
    resource
}
