//! FAIR Data Point 1.2: the service, its one catalogue, and LDP containers of both layers.
//!
//! Distributions have no container: the dataset's document names them, and a container in it
//! would be one more thing that HealthDCAT-AP does not know.

use jiff::Timestamp;
use oxrdf::{Graph, NamedNode};

use super::graph::{Draft, Writer, moment};
use super::log::Snapshot;

/// The specification that the doors follow.
pub const FDP_SPECIFICATION: &str = "https://specs.fairdatapoint.org/fdp-specs-v1.2.html";

impl Writer<'_> {
    fn fdp_catalog(&self) -> NamedNode {
        self.iri("/fdp/catalog/all")
    }

    /// Identifier and times of a description, as the specification asks of every layer.
    fn put_metadata(
        &self,
        draft: &mut Draft<'_>,
        node: &NamedNode,
        issued: Option<Timestamp>,
        modified: Option<Timestamp>,
    ) {
        let identifier = NamedNode::new_unchecked(format!("{}#identifier", node.as_str()));
        draft.add(node, "fdp-o:metadataIdentifier", identifier.clone());
        draft.kind(&identifier, "adms:Identifier");
        draft.literal(&identifier, "dct:identifier", node.as_str());
        for (predicate, time) in
            [("fdp-o:metadataIssued", issued), ("fdp-o:metadataModified", modified)]
        {
            if let Some(time) = time {
                draft.typed(node, predicate, &moment(time), "xsd:dateTime");
            }
        }
    }

    /// The FAIR Data Point itself. `issued` is the time of the first event.
    #[must_use]
    pub fn fdp_root(&self, snapshot: &Snapshot, issued: Option<Timestamp>) -> Graph {
        let mut draft = Draft::new(*self);
        let node = self.iri("/fdp");
        for class in ["fdp-o:FAIRDataPoint", "fdp-o:MetadataService", "dcat:DataService"] {
            draft.kind(&node, class);
        }
        draft.tagged(&node, "dct:title", "", &self.config.catalogue.title);
        draft.tagged(&node, "dct:description", "", &self.config.catalogue.description);
        // The version of a service is that of what runs it.
        let version = concat!("vesalius ", env!("CARGO_PKG_VERSION"));
        draft.literal(&node, "dcat:version", version);
        draft.link(&node, "fdp-o:conformsToFdpSpec", FDP_SPECIFICATION);
        draft.add(&node, "dcat:endpointURL", node.clone());
        draft.add(&node, "fdp-o:metadataCatalog", self.fdp_catalog());
        self.put_publisher(&mut draft, &node);
        self.put_metadata(&mut draft, &node, issued, snapshot.time);
        self.put_catalogs(&mut draft);
        draft.graph
    }

    /// The container of catalogues.
    #[must_use]
    pub fn fdp_catalogs(&self) -> Graph {
        let mut draft = Draft::new(*self);
        self.put_catalogs(&mut draft);
        draft.graph
    }

    fn put_catalogs(&self, draft: &mut Draft<'_>) {
        let container = self.iri("/fdp/catalog/");
        draft.kind(&container, "ldp:DirectContainer");
        draft.tagged(&container, "dct:title", "en", "Catalogues");
        draft.add(&container, "ldp:membershipResource", self.iri("/fdp"));
        let relation = draft.release.term("fdp-o:metadataCatalog");
        draft.add(&container, "ldp:hasMemberRelation", relation);
        draft.add(&container, "ldp:contains", self.fdp_catalog());
    }

    /// The catalogue: every published dataset by its address, and the container of datasets.
    #[must_use]
    pub fn fdp_catalog_graph(&self, snapshot: &Snapshot, issued: Option<Timestamp>) -> Graph {
        let mut draft = Draft::new(*self);
        let node = self.fdp_catalog();
        // What HealthDCAT-AP asks of a Catalog, as the listing says it.
        self.describe(&mut draft, &node, snapshot.time);
        // Each event makes another catalogue.
        draft.literal(&node, "dcat:version", &snapshot.seq.to_string());
        // Not `dct:isPartOf`: DCAT-AP lets a Catalog be part of Catalogs only, and this is a service.
        draft.add(&self.iri("/fdp"), "fdp-o:metadataCatalog", node.clone());
        draft.add(&node, "rdfs:seeAlso", self.iri("/catalog"));
        self.put_metadata(&mut draft, &node, issued, snapshot.time);
        for one in snapshot.standing() {
            draft.add(&node, "dcat:dataset", self.dataset_iri(&one.slug));
        }
        self.put_datasets(&mut draft, snapshot);
        draft.graph
    }

    /// The container of datasets.
    #[must_use]
    pub fn fdp_datasets(&self, snapshot: &Snapshot) -> Graph {
        let mut draft = Draft::new(*self);
        self.put_datasets(&mut draft, snapshot);
        draft.graph
    }

    fn put_datasets(&self, draft: &mut Draft<'_>, snapshot: &Snapshot) {
        let container = self.iri("/fdp/dataset/");
        draft.kind(&container, "ldp:DirectContainer");
        draft.tagged(&container, "dct:title", "en", "Datasets");
        draft.add(&container, "ldp:membershipResource", self.fdp_catalog());
        let relation = draft.release.term("dcat:dataset");
        draft.add(&container, "ldp:hasMemberRelation", relation);
        for one in snapshot.standing() {
            draft.add(&container, "ldp:contains", self.dataset_iri(&one.slug));
        }
    }
}
