//! The log of the catalogue as documents: a feed of activities (W3C Activity Streams 2.0) whose
//! payload a national contact point forwards, and the same as a Linked Data Event Stream (LDES
//! and TREE, SEMIC).
//!
//! A member of the stream is the activity, not a version of the dataset: fragments stay as they
//! are for ever, and what was withdrawn is not handed out by them.

use oxrdf::{Graph, NamedNode};
use serde_json::{Map, Value, json};

use super::emit::{self, Format};
use super::graph::{Draft, Writer, moment};
use super::log::{Event, Operation};
use super::shelf::Entry;
use crate::error::{Error, Result};

/// A page of the feed.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// Its path and query.
    pub address: String,
    /// Path and query of the next page, when there is one now.
    pub next: Option<String>,
    /// Path and query at which to ask for what comes after this page.
    pub resume: String,
    /// Its events.
    pub events: Vec<Event>,
    /// How many events there are.
    pub total: u64,
    /// The documents of events that nothing came after, when they are wanted.
    pub documents: Vec<Entry>,
}

/// Events in a fragment of the stream.
pub const FRAGMENT: u64 = 250;

impl Operation {
    const fn activity(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Delete => "Delete",
        }
    }
}

impl Writer<'_> {
    /// The IRI of an event.
    #[must_use]
    pub fn event_iri(&self, seq: u64) -> NamedNode {
        self.iri(&format!("/changes/{seq}"))
    }

    /// Path of the payload of an event.
    fn payload(&self, seq: u64) -> NamedNode {
        self.iri(&format!("/changes/{seq}/document"))
    }

    /// What is so for ever about an event.
    fn put_event(&self, draft: &mut Draft<'_>, event: &Event) {
        let node = self.event_iri(event.seq);
        draft.kind(&node, &format!("as:{}", event.operation.activity()));
        draft.add(&node, "as:object", self.dataset_iri(&event.slug));
        draft.typed(&node, "as:published", &moment(event.time), "xsd:dateTime");
        draft.literal(&node, "dct:identifier", &event.message_id());
        if !event.version.is_empty() {
            draft.literal(&node, "dcat:version", &event.version);
        }
        draft.add(&node, "as:url", self.payload(event.seq));
        let sum = NamedNode::new_unchecked(format!("{}#checksum", node.as_str()));
        draft.add(&node, "spdx:checksum", sum.clone());
        draft.kind(&sum, "spdx:Checksum");
        let algorithm = draft.release.term("spdx:checksumAlgorithm_sha256");
        draft.add(&sum, "spdx:algorithm", algorithm);
        draft.typed(&sum, "spdx:checksumValue", &event.hash, "xsd:hexBinary");
    }

    /// An event as a document of its own.
    #[must_use]
    pub fn event(&self, event: &Event) -> Graph {
        let mut draft = Draft::new(*self);
        self.put_event(&mut draft, event);
        self.put_successor(&mut draft, event);
        draft.graph
    }

    fn put_successor(&self, draft: &mut Draft<'_>, event: &Event) {
        if let Some(successor) = event.successor {
            draft.add(&self.event_iri(event.seq), "dct:isReplacedBy", self.event_iri(successor));
        }
    }

    /// A page of the feed.
    ///
    /// # Errors
    /// [`Error::Internal`] for a stored document that cannot be read.
    pub fn feed(&self, page: &FeedPage) -> Result<Graph> {
        let mut draft = Draft::new(*self);
        let (feed, node) = (self.iri("/changes"), self.iri(&page.address));
        draft.kind(&feed, "as:OrderedCollection");
        draft.typed(&feed, "as:totalItems", &page.total.to_string(), "xsd:nonNegativeInteger");
        draft.kind(&node, "as:OrderedCollectionPage");
        draft.add(&node, "as:partOf", feed);
        if let Some(next) = &page.next {
            draft.add(&node, "as:next", self.iri(next));
        }
        for event in &page.events {
            draft.add(&node, "as:items", self.event_iri(event.seq));
            self.put_event(&mut draft, event);
            self.put_successor(&mut draft, event);
        }
        for entry in &page.documents {
            for triple in &emit::parse(&entry.document)? {
                draft.graph.insert(triple);
            }
        }
        Ok(draft.graph)
    }

    /// An event as JSON; with its document as JSON-LD.
    ///
    /// # Errors
    /// [`Error::Internal`] for a stored document that cannot be read.
    pub fn event_json(&self, event: &Event, document: Option<&Entry>) -> Result<Value> {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
        put("id", json!(self.event_iri(event.seq).as_str()));
        put("type", json!(event.operation.activity()));
        put("published", json!(moment(event.time)));
        put("object", json!(self.dataset_iri(&event.slug).as_str()));
        put("messageId", json!(event.message_id()));
        put("operation", json!(event.operation.word()));
        put("identifier", json!(self.dataset_iri(&event.slug).as_str()));
        put("sequence", json!(event.seq));
        if !event.version.is_empty() {
            put("version", json!(event.version));
        }
        if let Some(access) = event.access {
            put("accessRights", json!(access.code()));
        }
        put("sha256", json!(event.hash));
        put("bytes", json!(event.bytes));
        match event.successor {
            Some(successor) => put("replacedBy", json!(self.event_iri(successor).as_str())),
            None => put("document", json!(self.payload(event.seq).as_str())),
        };
        if let Some(entry) = document {
            let graph = emit::parse(&entry.document)?;
            let first = self.dataset_iri(&event.slug);
            let bytes = emit::emit(&graph, Format::JsonLd, self.release, first.as_str())?;
            let payload: Value = serde_json::from_slice(&bytes)
                .map_err(|failure| Error::Internal(failure.to_string()))?;
            put("payload", payload);
        }
        Ok(Value::Object(object))
    }

    /// A page of the feed as JSON.
    ///
    /// # Errors
    /// As [`Self::event_json`].
    pub fn feed_json(&self, page: &FeedPage) -> Result<Value> {
        let document = |event: &Event| {
            let is_newest = event.successor.is_none();
            is_newest.then(|| page.documents.iter().find(|entry| entry.slug == event.slug))?
        };
        let items: Result<Vec<Value>> =
            page.events.iter().map(|event| self.event_json(event, document(event))).collect();
        let mut value = json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": self.iri(&page.address).as_str(),
            "type": "OrderedCollectionPage",
            "partOf": self.iri("/changes").as_str(),
            "totalItems": page.total,
            "resume": self.iri(&page.resume).as_str(),
            "orderedItems": items?,
        });
        if let (Some(next), Some(object)) = (&page.next, value.as_object_mut()) {
            object.insert("next".to_owned(), json!(self.iri(next).as_str()));
        }
        Ok(value)
    }

    /// The entry of the event stream: which fragments there are, and of what time. `firsts` are
    /// the first event of each fragment.
    #[must_use]
    pub fn stream(&self, firsts: &[Event]) -> Graph {
        let mut draft = Draft::new(*self);
        let view = self.iri("/ldes");
        let stream = NamedNode::new_unchecked(format!("{}#stream", view.as_str()));
        self.put_stream(&mut draft, &stream);
        draft.add(&stream, "tree:view", view.clone());
        draft.kind(&view, "tree:Node");
        let time = draft.release.term("as:published");
        let mut relate = |name: String, class: &str, fragment: usize, bound: &Event| {
            let relation = NamedNode::new_unchecked(format!("{}#{name}", view.as_str()));
            draft.add(&view, "tree:relation", relation.clone());
            draft.kind(&relation, class);
            draft.add(&relation, "tree:node", self.iri(&format!("/ldes/{fragment}")));
            draft.add(&relation, "tree:path", time.clone());
            draft.typed(&relation, "tree:value", &moment(bound.time), "xsd:dateTime");
        };
        for (place, first) in firsts.iter().enumerate() {
            let number = place + 1;
            let from = "tree:GreaterThanOrEqualToRelation";
            relate(format!("from-{number}"), from, number, first);
            // No event of a fragment is later than the first of the next one.
            if let Some(next) = firsts.get(number) {
                let to = "tree:LessThanOrEqualToRelation";
                relate(format!("to-{number}"), to, number, next);
            }
        }
        draft.graph
    }

    fn put_stream(&self, draft: &mut Draft<'_>, stream: &NamedNode) {
        draft.kind(stream, "ldes:EventStream");
        let (time, object) = (draft.release.term("as:published"), draft.release.term("as:object"));
        draft.add(stream, "ldes:timestampPath", time);
        draft.add(stream, "ldes:versionOfPath", object);
    }

    /// A fragment of the event stream.
    #[must_use]
    pub fn fragment(&self, number: u64, events: &[Event]) -> Graph {
        let mut draft = Draft::new(*self);
        let node = self.iri(&format!("/ldes/{number}"));
        let stream = NamedNode::new_unchecked(format!("{}#stream", self.iri("/ldes").as_str()));
        draft.kind(&node, "tree:Node");
        self.put_stream(&mut draft, &stream);
        draft.add(&stream, "tree:view", node);
        for event in events {
            draft.add(&stream, "tree:member", self.event_iri(event.seq));
            self.put_event(&mut draft, event);
        }
        draft.graph
    }
}
