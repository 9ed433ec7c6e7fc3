// Compares what a server gives as FHIR XML with what it gives as JSON, resource by resource; the XML
// is read by npm's `fhir`, not by the server's own tables.
//
//   node xml.mjs BASE TOKEN
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { Fhir } = require('fhir');
const [base, token] = process.argv.slice(2);
const fhir = new Fhir();

async function get(url, accept) {
  const headers = { Accept: accept };
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(url, { headers });
  if (!answer.ok) throw new Error(`${answer.status} ${url}: ${await answer.text()}`);
  const media = answer.headers.get('content-type');
  if (!media.startsWith(accept)) throw new Error(`${url}: asked for ${accept}, got ${media}`);
  return answer.text();
}

// Members in one order, numbers by value (1.50 is 1.5 to whoever reads JSON), and narratives without
// the blanks between tags, which `fhir` drops.
function plain(value) {
  if (typeof value === 'string' && value.startsWith('<div')) return value.replace(/>\s+</g, '><');
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.keys(value).sort().map((key) => [key, plain(value[key])]));
  }
  return value;
}

function difference(one, other, at) {
  if (JSON.stringify(one) === JSON.stringify(other)) return null;
  if (one && other && typeof one === 'object' && typeof other === 'object') {
    for (const key of new Set([...Object.keys(one), ...Object.keys(other)])) {
      const found = difference(one[key], other[key], `${at}.${key}`);
      if (found) return found;
    }
  }
  return `${at}: ${JSON.stringify(one)?.slice(0, 120)} / ${JSON.stringify(other)?.slice(0, 120)}`;
}

const statement = JSON.parse(await get(`${base}/metadata`, 'application/fhir+json'));
const urls = [`${base}/metadata`];
for (const { type, interaction } of statement.rest[0].resource) {
  if (!interaction.some(({ code }) => code === 'search-type')) continue;
  let next = `${base}/${type}?_count=20`;
  for (let page = 0; next && page < 5; page += 1) {
    urls.push(next);
    const bundle = JSON.parse(await get(next, 'application/fhir+json'));
    for (const entry of (bundle.entry ?? []).slice(0, 3)) urls.push(entry.fullUrl);
    next = bundle.link.find(({ relation }) => relation === 'next')?.url;
  }
}
let differ = 0;
for (const url of urls) {
  const json = plain(JSON.parse(await get(url, 'application/fhir+json')));
  const xml = plain(JSON.parse(fhir.xmlToJson(await get(url, 'application/fhir+xml'))));
  const found = difference(json, xml, json.resourceType);
  if (found) {
    differ += 1;
    console.log(`${url}\n  ${found}`);
  }
}
console.log(`XML: ${urls.length} answers compared with their JSON, ${differ} differ`);
process.exit(differ ? 1 : 0);
