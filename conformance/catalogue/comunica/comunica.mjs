// Comunica asks a running SPARQL endpoint.
//
//   node comunica.mjs BASE_URL
//
// Needs the npm packages of package.json beside this file, and Node 22 or newer. Each query is one
// that a client of the catalogue would ask; the answers are held against the listing and against
// each other. Exit status 0: all hold.
import { QueryEngine } from "@comunica/query-sparql";

const base = process.argv[2].replace(/\/$/, "");
const endpoint = `${base}/sparql`;
const engine = new QueryEngine();
const prefixes = `
PREFIX dcat: <http://www.w3.org/ns/dcat#>
PREFIX dct: <http://purl.org/dc/terms/>
PREFIX foaf: <http://xmlns.com/foaf/0.1/>
PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
`;
let bad = 0;

async function check(name, work) {
  try {
    console.log(`${name}: holds, ${await work()}`);
  } catch (failure) {
    bad += 1;
    console.log(`FAIL ${name}: ${failure.message}`);
  }
}

function expect(holds, words) {
  if (!holds) throw new Error(words);
}

// The endpoint as one source of Comunica's; `sparql@` leaves the finding out.
const direct = { sources: [{ type: "sparql", value: endpoint }] };
const rows = async (query, context = direct) => {
  const stream = await engine.queryBindings(prefixes + query, context);
  return stream.toArray();
};

const listing = await fetch(`${base}/fdp/catalog/all`, { headers: { accept: "application/n-triples" } });
const datasets = [...(await listing.text()).matchAll(/<http:\/\/www\.w3\.org\/ns\/dcat#dataset> <([^>]+)>/g)]
  .map((match) => match[1]).sort();

await check("select", async () => {
  const found = (await rows("SELECT ?d { ?d a dcat:Dataset }")).map((row) => row.get("d").value).sort();
  expect(JSON.stringify(found) === JSON.stringify(datasets), `${found} instead of ${datasets}`);
  return `${found.length} datasets`;
});

await check("join, filter, optional, aggregate", async () => {
  const found = await rows(`SELECT ?name (COUNT(DISTINCT ?d) AS ?n) {
    ?d a dcat:Dataset ; dct:publisher/foaf:name ?name ; dct:title ?title .
    OPTIONAL { ?d dcat:landingPage ?page }
    FILTER(LANGMATCHES(LANG(?title), "en"))
  } GROUP BY ?name`);
  const sum = found.reduce((total, row) => total + Number(row.get("n").value), 0);
  expect(sum === datasets.length, `${sum} instead of ${datasets.length}`);
  return `${found.length} publishers`;
});

await check("named graphs", async () => {
  const found = await rows("SELECT DISTINCT ?g { GRAPH ?g { ?d a dcat:Dataset } }");
  const names = found.map((row) => row.get("g").value).sort();
  expect(JSON.stringify(names) === JSON.stringify(datasets), `${names}`);
  return `${names.length} graphs`;
});

await check("ask", async () => {
  const ask = (query) => engine.queryBoolean(prefixes + query, direct);
  expect(await ask("ASK { ?d a dcat:Dataset }"), "there is none");
  expect(!(await ask("ASK { ?d a dcat:Nothing }")), "there is something");
  return "yes and no";
});

await check("construct", async () => {
  const stream = await engine.queryQuads(
    `${prefixes} CONSTRUCT { ?d dct:title ?t } WHERE { ?d a dcat:Dataset ; dct:title ?t }`, direct);
  const quads = await stream.toArray();
  expect(new Set(quads.map((quad) => quad.subject.value)).size === datasets.length, `${quads.length} quads`);
  return `${quads.length} triples`;
});

await check("describe", async () => {
  const stream = await engine.queryQuads(`DESCRIBE <${datasets[0]}>`, direct);
  const quads = await stream.toArray();
  expect(quads.length > 20, `${quads.length} triples`);
  return `${quads.length} triples`;
});

await check("found by its description", async () => {
  // Without a type Comunica dereferences the address and reads what it says of itself.
  const found = await rows("SELECT ?d { ?d a dcat:Dataset }", { sources: [endpoint] });
  expect(found.length === datasets.length, `${found.length} instead of ${datasets.length}`);
  return `${found.length} datasets`;
});

await check("documents as sources", async () => {
  // The same question over the documents themselves.
  const found = await rows("SELECT ?d ?n { ?d a dcat:Dataset ; dct:title ?n }", { sources: datasets });
  const there = await rows("SELECT ?d ?n { ?d a dcat:Dataset ; dct:title ?n }");
  const key = (row) => `${row.get("d").value} ${row.get("n").value} ${row.get("n").language}`;
  const [left, right] = [found, there].map((list) => list.map(key).sort().join("\n"));
  expect(left === right, `${left}\ninstead of\n${right}`);
  return `${found.length} titles`;
});

console.log(`${datasets.length} datasets, ${bad} queries fail`);
process.exit(bad || datasets.length === 0 ? 1 : 0);
